"""Chats for templates that have no place for a system message, or want user and assistant in turn."""

from __future__ import annotations

from rpobench.types import Chat, Message

SEPARATOR = "\n\n"  # between two texts in one message, as templates that fold the system text themselves write it


def fold_system(chat: Chat) -> Chat:
    """Put system messages at the start of the user's message that follows.

    Args:
        chat: Any chat.

    Returns:
        The same texts in the same order, without a system message. One that no user's message follows becomes the
        user's.
    """
    messages: list[Message] = []
    system_texts: list[str] = []

    for message in chat:
        if message.role == "system":
            system_texts.append(message.content)
            continue

        if system_texts and message.role == "user":
            message = Message("user", SEPARATOR.join([*system_texts, message.content]))
        elif system_texts:
            messages.append(Message("user", SEPARATOR.join(system_texts)))
        system_texts = []
        messages.append(message)

    if system_texts:
        messages.append(Message("user", SEPARATOR.join(system_texts)))
    return tuple(messages)


def join_equal_roles(chat: Chat) -> Chat:
    """Make one message of neighbours that have the same role.

    Args:
        chat: Any chat.

    Returns:
        The same texts in the same order; the roles take turns.
    """
    messages: list[Message] = []
    for message in chat:
        if messages and messages[-1].role == message.role:
            joined = SEPARATOR.join((messages.pop().content, message.content))
            message = Message(message.role, joined)
        messages.append(message)

    return tuple(messages)
