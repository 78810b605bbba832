"""The contract of a task in the synthetic world: its topics, its traits, and how traits shape an answer.

The world (users, dates, drift, profiles, splits, noise, references) is the same for every task: see `world.py`.
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
    def draw_content(self, rng: Random, topic: str, names: Names, traits: Traits) -> Slots:
        """Draw fresh content of a topic.

        Args:
            rng: The random stream to draw from.
            topic: One of the mechanism's topics.
            names: Draws names of the right split.
            traits: Read only where the user chooses the content itself (LaMP-1).

        Returns:
            The content.
        """

    @abstractmethod
    def write_input(self, slots: Slots) -> str:
        """Write the official input: instruction and content, up to about 60 tokens of content."""

    @abstractmethod
    def write_answer(self, slots: Slots, traits: Traits) -> str:
        """Write the answer of a user with these traits: the gold, and without noise the oracle's."""

    @abstractmethod
    def write_generic_answer(self, slots: Slots) -> str:
        """Write the best answer of somebody who knows the content and nothing of the user."""

    @abstractmethod
    def write_item(self, slots: Slots, answer: str) -> Mapping[str, str]:
        """Write the official profile fields of a content with the user's own answer, up to about 30 tokens."""
