"""Days of the week, months, and weeks of a month, with their English names as in the ARM API."""

from enum import IntEnum


class _Titled(IntEnum):
    @property
    def title(self) -> str:
        """The English name."""
        return self.name.capitalize()


class Weekday(_Titled):
    """A day of the week, numbered as by ``date.weekday``."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


class Month(_Titled):
    """A month of the year."""

    JANUARY = 1
    FEBRUARY = 2
    MARCH = 3
    APRIL = 4
    MAY = 5
    JUNE = 6
    JULY = 7
    AUGUST = 8
    SEPTEMBER = 9
    OCTOBER = 10
    NOVEMBER = 11
    DECEMBER = 12


class WeekOfMonth(_Titled):
    """Which of a weekday's dates in a month: the first four, or the last, which is the fourth or fifth."""

    FIRST = 1
    SECOND = 2
    THIRD = 3
    FOURTH = 4
    LAST = 5


CalendarWord = Weekday | Month | WeekOfMonth
