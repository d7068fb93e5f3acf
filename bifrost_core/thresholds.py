"""From where on a number in the market data is doubted. One frozen model, read by detectors, checks and the app."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Thresholds(BaseModel):
    """The `[quality]` table of bifrost.toml, or BIFROST_QUALITY as JSON: `{"jump_sigmas": 8}` changes one alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history_sessions: int = Field(
        default=63, ge=5, description="Sessions before a bar that say what is usual: their medians scale everything."
    )
    warm_up_sessions: int = Field(
        default=10,
        ge=2,
        description="With fewer earlier bars than this, the usual move is taken to be new_listing_move.",
    )
    new_listing_move: float = Field(default=0.04, gt=0, description="Usual daily move of a share without history.")
    smallest_move: float = Field(default=0.005, gt=0, description="No usual move is taken to be smaller than this.")
    second_look_sessions: int = Field(
        default=3,
        ge=0,
        description="Sessions before the window that are judged again, now that their next bars are known.",
    )

    jump_sigmas: float = Field(
        default=6.0,
        gt=0,
        description="Doubt a close this many robust sigmas from the one before, less where the volume rose with it.",
    )
    spike_sigmas: float = Field(
        default=10.0, gt=0, description="Doubt a close this many robust sigmas away that the next one takes back."
    )
    wick_sigmas: float = Field(default=10.0, gt=0, description="Doubt a high or low this far beyond open and close.")
    volume_times: float = Field(default=30.0, gt=1, description="Doubt this many times the usual volume.")
    volume_share: float = Field(default=0.08, gt=0, lt=1, description="Doubt less than this share of the usual volume.")
    unchanged_closes: int = Field(default=3, ge=1, description="Doubt a close that equals this many before it.")
    largest_dividend: float = Field(
        default=0.25, gt=0, lt=1, description="Do not believe a cash dividend above this share of the price."
    )
    shift_sessions: int = Field(
        default=126,
        ge=20,
        description="Sessions over which a series is compared with the index, a session early and late.",
    )
    shift_correlation: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Doubt dates where a shifted series has this correlation with the index, and this much more.",
    )

    hold_scale_tolerance: float = Field(
        default=0.35,
        gt=0,
        lt=1,
        description="Hold what is a power of ten away from the bar before, within this log move.",
    )
    hold_wick_times: float = Field(
        default=3.0, gt=1, description="Hold a bar whose high or low is this many times beyond open and close."
    )
    hold_volume_times: float = Field(
        default=3.0, gt=1, description="What jumps tenfold with this many times the usual volume is doubted, not held."
    )

    close_difference: float = Field(
        default=0.005, gt=0, description="Two sources disagree where their closes differ by more than this fraction."
    )
    volume_difference: float = Field(
        default=0.25, gt=0, description="Two sources disagree where their volumes differ by more than this fraction."
    )

    largest_split: float = Field(default=100.0, gt=1, description="Do not believe a split of more shares for one.")
    shortest_session_hours: float = Field(default=2.0, gt=0, description="Doubt a shorter session.")
    longest_session_hours: float = Field(default=12.0, gt=0, description="Doubt a longer session.")
    longest_closure_days: int = Field(
        default=12, ge=1, description="Doubt a calendar with more days between two sessions."
    )
