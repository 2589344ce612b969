"""Token healing against its definition, spelled out over the whole vocabulary."""

from hypothesis import given
from hypothesis import strategies as st

from incoder_model.healing import Healer
from incoder_model.tokenizer import Tokenizer

pieces = st.lists(st.sampled_from([b"a", b"b", b"\xff", b"\x00"]), min_size=1, max_size=4).map(b"".join)
vocabularies = st.lists(pieces | st.just(b""), max_size=12).map(lambda more: [b"a", b"b", b"\xff", b"\x00", b"", *more])


@given(vocabularies, st.lists(st.sampled_from([b"a", b"b", b"\xff", b"\x00"]), min_size=1, max_size=6).map(b"".join))
def test_allowed_are_the_tokens_that_agree_with_what_is_typed(vocabulary: list[bytes], rest: bytes) -> None:
    found = Healer(vocabulary).allowed(rest).tolist()
    agree = [i for i, text in enumerate(vocabulary) if text and (text.startswith(rest) or rest.startswith(text))]
    assert sorted(found) == agree
    assert found


@given(vocabularies, st.data())
def test_taken_back_is_what_a_longer_token_could_begin_with(vocabulary: list[bytes], data: st.DataObject) -> None:
    spoken = [i for i, text in enumerate(vocabulary) if text]
    typed = data.draw(st.lists(st.sampled_from(spoken), max_size=6))
    certain, rest = Healer(vocabulary).take_back(typed)

    def is_a_beginning(text: bytes) -> bool:
        return any(len(token) > len(text) and token.startswith(text) for token in vocabulary)

    ends = [b"".join(vocabulary[i] for i in typed[k:]) for k in range(len(typed))]
    first = next((k for k, end in enumerate(ends) if is_a_beginning(end)), len(typed))
    assert certain == typed[:first]
    assert rest == b"".join(vocabulary[i] for i in typed[first:])


@given(
    text=st.text(st.characters(codec="utf-8"), max_size=30)
    | st.sampled_from(["    return np.ar", "self.lat", "<|", "x <"])
)
def test_nothing_typed_is_lost(tokenizer: Tokenizer, text: str) -> None:
    healer = Healer(tokenizer.token_bytes)
    certain, rest = healer.take_back(tokenizer.encode(text))
    assert tokenizer.decode_bytes(certain) + rest == text.encode()


@given(vocabularies, st.data())
def test_whatever_is_chosen_spells_what_is_typed(vocabulary: list[bytes], data: st.DataObject) -> None:
    """Any vocabulary that has the single bytes, and any choice among those allowed; characters may be torn apart."""
    healer = Healer(vocabulary)
    typed = data.draw(st.lists(st.sampled_from([i for i, text in enumerate(vocabulary) if text]), max_size=6))
    said, rest = healer.take_back(typed)
    while rest:
        said.append(data.draw(st.sampled_from(healer.allowed(rest).tolist())))
        rest = rest[len(vocabulary[said[-1]]) :]
    assert b"".join(vocabulary[i] for i in said).startswith(b"".join(vocabulary[i] for i in typed))


def test_a_word_that_is_typed_halfway(tokenizer: Tokenizer) -> None:
    """`.latitude = latitude` is one token of this vocabulary."""
    healer = Healer(tokenizer.token_bytes)
    assert healer.take_back(tokenizer.encode("self.lat")) == (tokenizer.encode("self"), b".lat")
    spelled = {tokenizer.token_bytes[i] for i in healer.allowed(b".lat")}
    assert b".latitude = latitude" in spelled
    assert {b".", b".l"} & spelled
    assert healer.take_back([]) == ([], b"")
