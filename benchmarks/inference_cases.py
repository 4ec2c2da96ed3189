"""The benchmark cases of inference: what is done with which fitted model, and how much faster than the peer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Inference:
    """Something done with a fitted model of `cases.CASES`.

    Attributes
    ----------
    model : str
        Name of the case that is fitted; fitting it does not count.
    task : str
        A key of `inference_worker.TASKS`.
    peer : str
        The R package that does the same.
    goal : float or None
        How many times faster than the peer pymixed is to be.
    goal_seconds : float or None
        Seconds that pymixed may take, for a task that the peer does not finish.
    replicates, peer_replicates : int
        Of a bootstrap, by pymixed and by the peer; times are of one.
    """

    model: str
    task: str
    peer: str
    goal: float | None = None
    goal_seconds: float | None = None
    replicates: int = 1
    peer_replicates: int = 1

    @property
    def name(self) -> str:
        """Model and task, as the command line has them."""
        return f"{self.model}:{self.task}"


INFERENCES: dict[str, Inference] = {
    case.name: case
    for case in (
        Inference("sleepstudy", "bootstrap", "lme4", 1000, replicates=1000, peer_replicates=200),
        Inference("sleepstudy", "profile", "lme4", 100),
        Inference("sleepstudy", "profile_intervals", "lme4"),
        Inference("sleepstudy", "kenward_roger", "pbkrtest", 50),
        Inference("sleepstudy", "satterthwaite", "lmerTest"),
        Inference("cbpp", "bootstrap", "lme4", replicates=1000, peer_replicates=50),
        Inference("cbpp", "profile", "lme4"),
        Inference("verbagg_linear", "bootstrap", "lme4", replicates=100, peer_replicates=20),
        Inference("verbagg_linear", "profile", "lme4"),
        Inference("verbagg_linear", "kenward_roger", "pbkrtest", 50, goal_seconds=2),
        Inference("verbagg_linear", "satterthwaite", "lmerTest"),
        Inference("verbagg_linear", "anova", "lmerTest"),
        Inference("verbagg_linear", "means", "emmeans"),
        Inference("insteval", "bootstrap", "lme4", replicates=10, peer_replicates=2),
        Inference("insteval", "kenward_roger", "pbkrtest"),
        Inference("insteval", "satterthwaite", "lmerTest"),
        Inference("three_factors", "bootstrap", "lme4", replicates=10, peer_replicates=2),
        Inference("three_factors", "kenward_roger", "pbkrtest"),
        Inference("three_factors", "satterthwaite", "lmerTest"),
    )
}

# Models whose bootstrap is run with one and with two threads, and its replicates.
THREADS = {"sleepstudy": 20_000, "cbpp": 5000, "verbagg_linear": 400}
GOAL_THREADS = 1.7
