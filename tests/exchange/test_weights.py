"""`load_weights`: state dicts, safetensors and a zoo's folder, sound ones and others."""

from __future__ import annotations

import hashlib
import importlib
import json
import pickle
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import snnbd_core as sb
from snnbd_core.exchange import CorruptNetwork, load_weights

from ..view.builders import frames, matched

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of their own imports
    snntorch = importlib.import_module("snntorch")
    sinabs = importlib.import_module("sinabs.layers")


def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 2))


@pytest.fixture
def sent():
    torch.manual_seed(1)
    return small()


def equal(net, other):
    ours, theirs = net.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def refused(path, words, net=None, **arguments):
    with pytest.raises(CorruptNetwork, match=words) as caught:
        load_weights(small() if net is None else net, path, **arguments)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.safetensors"])
def test_weights_come_back(tmp_path, sent, name):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(sent.state_dict(), path)
    else:
        torch.save(sent.state_dict(), path)
    net = small()
    assert load_weights(net, path) is net and equal(net, sent)


def test_a_state_dict_among_other_things_is_asked_for_by_name(tmp_path, sent):
    path = tmp_path / "run.pt"
    torch.save({"epoch": 3, "model": sent.state_dict(), "best": {"score": 1.0}}, path)
    refused(path, r"no state dict; allowed for key: \['model'\]")
    refused(path, "has no 'net'", key="net")
    assert equal(load_weights(small(), path, key="model"), sent)


@pytest.mark.parametrize("kind", ["snntorch", "spikingjelly", "norse", "sinabs", "ours"])
def test_networks_of_every_library_get_their_weights(tmp_path, kind):
    sent, net = (matched(kind, "rate", seed=seed).eval() for seed in (3, 4))
    x = frames(seed=1)
    with torch.no_grad():
        wanted = sent(x)
        assert not torch.equal(net(x), wanted)
        torch.save(sent.state_dict(), tmp_path / "net.pt")
        assert torch.equal(load_weights(net, tmp_path / "net.pt")(x), wanted)


def test_states_that_sinabs_saves_are_not_loaded(tmp_path):
    def build():
        return nn.Sequential(nn.Linear(4, 3), sinabs.IAF())

    sent, net = build(), build()
    sent(torch.rand(2, 5, 4))
    assert sent[1].v_mem.shape == (2, 3)
    save_file(
        {k: v.detach().clone() for k, v in sent.state_dict().items()}, tmp_path / "n.safetensors"
    )
    load_weights(net, tmp_path / "n.safetensors")
    assert torch.equal(net[0].weight, sent[0].weight) and net[1].v_mem.shape == (0,)


@pytest.mark.filterwarnings("ignore:.*is loaded in place of")
def test_a_reset_that_comes_with_the_weights_is_the_one_that_is_shown(tmp_path):
    """snnTorch keeps the reset twice, and its state dict changes one of them."""
    sent = nn.Sequential(
        nn.Linear(4, 3), snntorch.Leaky(0.5, reset_mechanism="zero", init_hidden=True)
    )
    net = nn.Sequential(nn.Linear(4, 3), snntorch.Leaky(0.5, init_hidden=True))
    torch.save(sent.state_dict(), tmp_path / "net.pt")
    load_weights(net, tmp_path / "net.pt")
    assert net[1].reset_mechanism_val == 1 and net[1].reset_mechanism == "subtract"
    seen = sb.view(sb.adapt(net, layout="step"))
    assert [settings.reset for settings in seen.settings().values()] == ["zero"]


# ---- other files


class Evil:
    """A pickle that would run code."""

    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_nothing_in_a_pickle_is_executed(tmp_path, capsys):
    torch.save({"weight": Evil()}, tmp_path / "evil.pt")
    refused(tmp_path / "evil.pt", "damaged, or holds more than tensors")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    refused(tmp_path / "plain.pt", "neither .safetensors nor whole and by torch.save")
    torch.save(small(), tmp_path / "whole.pt")  # a module, not its state
    refused(tmp_path / "whole.pt", "damaged, or holds more than tensors")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_that_was_cut_off_is_refused(tmp_path, sent, name, share):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(sent.state_dict(), path)
    else:
        torch.save(sent.state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(path, "whole")


def test_weights_of_another_network_and_those_that_are_not_finite_are_refused(tmp_path, sent):
    state = sent.state_dict()
    changes = {
        "another network: it cannot be read: .*Missing key": {"1.bias": None},
        "another network: it cannot be read: .*Unexpected key": {"3.weight": torch.ones(1)},
        "another network: it cannot be read: .*size mismatch": {"1.weight": torch.ones(3, 5)},
        "its 1.bias holds NaN": {"1.bias": torch.tensor([1.0, float("nan"), 1.0])},
    }
    for words, change in changes.items():
        changed = {k: v for k, v in {**state, **change}.items() if v is not None}
        save_file(changed, tmp_path / "net.safetensors")
        with pytest.raises(CorruptNetwork, match=f"(?s){words}"):
            load_weights(small(), tmp_path / "net.safetensors")


def test_what_takes_too_much_memory_is_refused(tmp_path, sent):
    """A zip that unpacks to more, and a tensor that repeats one number."""
    save_file(sent.state_dict(), tmp_path / "net.safetensors")
    refused(tmp_path / "net.safetensors", "more than limit=100 bytes", limit=100)
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb/data.pkl", b"0" * 10**7)
    refused(tmp_path / "bomb.pt", "more than limit=1,000,000 bytes", limit=10**6)
    torch.save({"1.weight": torch.ones(1).expand(10**6, 10**6)}, tmp_path / "wide.pt")
    refused(tmp_path / "wide.pt", "its values take more than limit=4,294,967,296 bytes")


def test_a_missing_file_is_not_found_and_what_is_no_network_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        load_weights(small(), tmp_path / "nothing.pt")
    with pytest.raises(ValueError, match="net is a function"):
        load_weights(small, tmp_path / "nothing.pt")


# ---- a zoo's folder


@pytest.fixture
def zoo(tmp_path, sent):
    folder = tmp_path / "v0.9" / "nmnist-static"
    folder.mkdir(parents=True)
    save_file(sent.state_dict(), folder / "model.safetensors")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    card = {"architecture": "small", "input_shape": [4], "classes": 2, "sha256": digest}
    (folder / "checkpoint.json").write_text(json.dumps(card))
    return folder


def test_a_folder_of_a_zoo_gives_the_weights_of_its_card(zoo, sent):
    assert equal(load_weights(small(), zoo), sent)


def test_another_hash_than_the_card_s_is_refused(zoo):
    data = bytearray((zoo / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (zoo / "model.safetensors").write_bytes(data)
    net = small()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    refused(zoo, "model.safetensors has the sha256 .*, but checkpoint.json says", net=net)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "has no 'sha256'"),
        ('{"sha256": null}', "checkpoint.json says None"),
        ('{"sha256": "../../other"}', r"checkpoint.json says '../../other'"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_card_without_a_hash_is_refused(zoo, card, words):
    (zoo / "checkpoint.json").write_text(card)
    refused(zoo, words)


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.json"])
def test_a_folder_that_lacks_a_file_or_links_out_of_itself_is_refused(zoo, name):
    outside = zoo.parent / name
    (zoo / name).rename(outside)
    refused(zoo, f"cannot be read.*{name}")
    (zoo / name).symlink_to(outside)
    refused(zoo, f"{name} is a link that leads out of the folder")
