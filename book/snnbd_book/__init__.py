"""The book's machinery: runs, records, claims, sweeps, figures, the builder, the command line.

    run -> record -> claim, finding -> figure -> page

What it measures comes from `snnbd_core`, which never imports anything from here.
"""
