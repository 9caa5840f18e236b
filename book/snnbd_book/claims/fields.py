"""What a file of claims or findings holds, checked; errors name the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnbd_book.runs.profiles import PROFILES


class ClaimError(ValueError):
    """A claims file that does not say what it must; names the file, the claim and the key."""


def mapping(values: Any, where: str, allowed: set[str] | None) -> dict[str, Any]:
    """The value as a mapping of names, all of them allowed.

    Raises:
        ClaimError: it is none, or has an unknown key.
    """
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ClaimError(f"{where} must be a mapping with names as keys, not {values!r}")
    for key in values:
        if allowed is not None and key not in allowed:
            raise ClaimError(f"{where}: {key!r} is unknown; allowed: {', '.join(sorted(allowed))}")
    return values


def text(values: Mapping[str, Any], key: str, where: str) -> str:
    """The text under a key.

    Raises:
        ClaimError: there is none.
    """
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ClaimError(f"{where}: {key}={value!r} must be a text")
    return value.strip()


def seeds_of(values: Mapping[str, Any], default: list[int], where: str) -> tuple[int, ...]:
    """The seeds that are named, or the default.

    Raises:
        ClaimError: they are no list of whole numbers.
    """
    seeds = values.get("seeds", default)
    if not seeds or not isinstance(seeds, list) or not all(type(s) is int for s in seeds):
        raise ClaimError(f"{where}: seeds={seeds!r} must be a list of whole numbers")
    return tuple(seeds)


def own_seeds(values: Mapping[str, Any], where: str) -> dict[str, tuple[int, ...]]:
    """Profile -> seeds of a claim that has some of its own, for all profiles or for named ones.

    Raises:
        ClaimError: they are no list of whole numbers, or a profile is unknown.
    """
    own = values.get("seeds", {})
    named = own if isinstance(own, dict) else dict.fromkeys(PROFILES, own)
    mapping(named, f"{where}: seeds", set(PROFILES))
    return {
        profile: seeds_of({"seeds": seeds}, [], f"{where}: {profile}")
        for profile, seeds in named.items()
    }
