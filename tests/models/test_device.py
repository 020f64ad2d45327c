from formatlab.models.model import best_device


def test_there_is_always_a_device():
    assert best_device().type
