"""What a task must say for the synthetic world to write it: topics, traits, and how a trait shapes an answer.

The world (users, dates, drift, profiles, splits, noise, references) is the same for every task and lives in `world.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from random import Random
from typing import ClassVar

from rpobench.data.synth.names import Names

Traits = Mapping[str, str]  # trait name -> the value that holds for this user, topic and date
Slots = Mapping[str, str]  # what one piece of content is about, before anybody wrote an answer to it


class Mechanism(ABC):
    """How one task's content is made and how traits turn it into the user's answer.

    Pure functions of their arguments: the same rng state, slots and traits give the same text on every machine.
    """

    task: ClassVar[str]  # "LaMP-4"
    topics: ClassVar[tuple[str, ...]]  # a user has a few of them
    traits: ClassVar[Mapping[str, tuple[str, ...]]]  # trait -> its possible values; every one moves the official metric
    by_topic: ClassVar[tuple[str, ...]] = ()  # traits whose value differs between a user's topics
    drifting: ClassVar[tuple[str, ...]] = ()  # traits that change once in a user's life

    @abstractmethod
    def content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        """Fresh content of this topic. Reads `traits` only where content itself is chosen by the user (LaMP-1)."""

    @abstractmethod
    def input(self, slots: Slots) -> str:
        """The official input: instruction and content, up to about 60 tokens of content."""

    @abstractmethod
    def write(self, slots: Slots, traits: Traits) -> str:
        """The answer of a user with these traits: the gold, and without noise the oracle's."""

    @abstractmethod
    def generic(self, slots: Slots) -> str:
        """The best answer of somebody who knows the content and nothing of the user."""

    @abstractmethod
    def item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        """The official profile fields of this content with the user's own answer, up to about 30 tokens."""
