"""`sb.view` is what users call, `snnbd_core.view` the package its parts come from."""

import pickle

import snnbd_core as sb
from snnbd_core.view import NotVisible, View


def test_sb_view_is_the_view_and_the_package_can_still_be_imported_from():
    import snnbd_core.view.trace  # a part that is imported later must not hide the class

    assert sb.view is View
    assert sb.NotVisible is NotVisible
    assert snnbd_core.view is View


def test_a_view_error_is_pickled_with_its_three_words():
    words = ("a potential", "net.3 (ReLU)", "needed is LIF")
    error = pickle.loads(pickle.dumps(NotVisible(*words)))
    assert (error.asked, error.layer, error.needed) == words
    assert str(error) == "net.3 (ReLU) does not show a potential: needed is LIF"
