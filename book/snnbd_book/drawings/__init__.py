"""One module a chapter: the drawings and tables that only its notebook shows; `lesson` has those
that every lesson shows.

    from snnbd_book.drawings import badsnn as draw, lesson

Nothing imports them but the notebooks. What several chapters or the builder use is in
`snnbd_book.figures`.
"""
