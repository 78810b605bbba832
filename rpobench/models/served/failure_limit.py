"""When too much has failed: a server that is down must end a run, not fill it with empty answers."""

from __future__ import annotations

from dataclasses import dataclass

MOST_IN_A_ROW = 10
MOST_SHARE, LEAST_REQUESTS = 0.2, 50  # more than a fifth of at least 50 requests


@dataclass
class FailureLimit:
    """Counts answers and failures of one server. A failure is a request without answer after all retries."""

    answered: int = 0
    failed: int = 0
    in_a_row: int = 0

    def add(self, *, failed: bool) -> bool:
        """Count one more request.

        Args:
            failed: Whether it stayed without answer.

        Returns:
            Whether the limit is passed: 10 failures in a row, or more than a fifth of at least 50 requests.
        """
        self.in_a_row = self.in_a_row + 1 if failed else 0
        self.failed += failed
        self.answered += not failed

        requests = self.answered + self.failed
        is_share_passed = requests >= LEAST_REQUESTS and self.failed > MOST_SHARE * requests
        return self.in_a_row >= MOST_IN_A_ROW or is_share_passed

    @property
    def never_answered(self) -> bool:
        """Whether there were failures and never an answer."""
        return self.failed > 0 and not self.answered
