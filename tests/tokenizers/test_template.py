from __future__ import annotations

import pytest

from minillm.tokenizers.template import Template


@pytest.mark.parametrize(
    ("template", "one", "two", "types"),
    [
        (Template(), [7, 8], [7, 8, 9], [0, 0, 1]),
        (Template.bert(1, 2), [1, 7, 8, 2], [1, 7, 8, 2, 9, 2], [0, 0, 0, 0, 1, 1]),
        (Template.roberta(1, 2), [1, 7, 8, 2], [1, 7, 8, 2, 2, 9, 2], [0] * 7),
    ],
)
def test_formats(template, one, two, types):
    assert template.ids([7, 8], None) == one
    assert template.ids([7, 8], [9]) == two
    assert template.type_ids(2, 1) == types
    assert template.type_ids(2, None) == [0] * len(one)
    assert template.num_added(False) == len(one) - 2
    assert template.num_added(True) == len(two) - 3


def test_an_empty_second_text_is_a_second_text():
    assert Template.bert(1, 2).ids([7], []) == [1, 7, 2, 2]
    assert Template.bert(1, 2).type_ids(1, 0) == [0, 0, 0, 1]
