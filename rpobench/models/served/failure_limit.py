"""When too much has failed: a server that is down must end a run, not fill it with empty answers."""

from __future__ import annotations

from dataclasses import dataclass

MOST_IN_A_ROW = 10
MOST_SHARE, LEAST_REQUESTS = 0.2, 50  # more than a fifth of at least 50 requests


@dataclass
class FailureLimit:
    """Counts answers and failures of one server. A failure is a request without answer after all retries.

    Attributes:
        answered: Requests with an answer.
        failed: Requests that failed.
        in_a_row: Those that failed since the last answer.
        begun_in_a_row: Those of them that also began after it.
    """

    answered: int = 0
    failed: int = 0
    in_a_row: int = 0
    begun_in_a_row: int = 0

    def add(self, *, failed: bool, answered_before: int | None = None) -> bool:
        """Count one more request.

        Failures come in late, after all their retries: at the end of many requests the few that failed stand in a row.
        They are no sign that the server is down where it answered others meanwhile.

        Args:
            failed: Whether it stayed without answer.
            answered_before: What `answered` was when it began; None where nothing ran beside it.

        Returns:
            Whether the limit is passed: 10 failures in a row that also began after the last answer, or are more than a
            fifth of all requests; or more than a fifth of at least 50 requests.
        """
        is_apart = answered_before is None or answered_before == self.answered
        self.in_a_row = self.in_a_row + 1 if failed else 0
        self.begun_in_a_row = self.begun_in_a_row + is_apart if failed else 0
        self.failed += failed
        self.answered += not failed

        requests = self.answered + self.failed
        is_share_passed = self.failed > MOST_SHARE * requests
        if self.in_a_row >= MOST_IN_A_ROW and is_share_passed:
            return True
        return self.begun_in_a_row >= MOST_IN_A_ROW or (requests >= LEAST_REQUESTS and is_share_passed)

    @property
    def never_answered(self) -> bool:
        """Whether there were failures and never an answer."""
        return self.failed > 0 and not self.answered
