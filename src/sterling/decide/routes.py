"""From answers to a route: steps as commands to type, what is forbidden, and what evidence would change the advice."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from sterling.decide.answers import Answers
from sterling.decide.policy import Policy
from sterling.decide.review_rules import rows_more, zero_error_rows
from sterling.decide.sentences import number, plural

LATER = "a later issue"
OWN = "cart"  # the generator of ours that is fitted first
REAL, HOLDOUT, SYNTHETIC, TARGET = "real.csv", "holdout.csv", "synthetic.csv", "TARGET"  # where nothing was named


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a route.

    Args:
        label: two or three words, as the route's title has them.
        command: what to type; empty where it is work of people, or Sterling has no command for it yet.
        why: what it is for, one sentence.
    """

    label: str
    command: str
    why: str


@dataclass(frozen=True, slots=True)
class Names:
    """How commands call the files: as answered, quoted for a shell, else by a name that says what belongs there."""

    real: str
    synthetic: str
    holdout: str
    target: str
    rest: str

    @property
    def judged(self) -> str:
        """Arguments of commands that judge one set."""
        return f"{self.real} {self.synthetic}{self.holdout}{self.target}"


def names_of(answers: Answers) -> Names:
    """The files and columns of the answers."""
    a = named(answers)
    made = "made" if a.source == "ours" else SYNTHETIC
    groups = "".join(f" --group {shlex.quote(g)}" for g in a.groups)
    region = f" --slice {shlex.quote(a.region)}" if a.region else ""
    stakes = " --stakes consequential" if a.stakes == "consequential" else ""
    private = " --policy privacy" if "privacy" in a.purpose else ""
    return Names(
        real=shlex.quote(a.real or REAL),
        synthetic=shlex.quote(a.synthetic or made),
        holdout=f" --holdout {shlex.quote(a.holdout)}" if a.holdout else "",
        target=f" --target {shlex.quote(a.target or TARGET)}",
        rest=f"{groups}{region}{private}{stakes}",
    )


def named(answers: Answers) -> Answers:
    """The answers with names that commands and study have in common where none was given; no test, no name of one."""
    a = answers
    holdout = a.holdout or HOLDOUT if a.has_test else None
    return replace(a, real=a.real or REAL, holdout=holdout, target=a.target or TARGET)


def placeholders(answers: Answers, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """What to put into the commands, for each name that was not given; one note each."""
    a = answers
    typed = {word for step in steps for word in shlex.split(step.command)}
    unnamed = (
        (a.real, REAL, "the path of your real records"),
        (a.holdout, HOLDOUT, "your holdout's path"),
        (a.target, TARGET, "the column that is predicted"),
        (a.synthetic or (None if a.source == "file" else "made"), SYNTHETIC, "the path of the synthetic set"),
    )
    return tuple(
        f"put {what} in where it says {word}: it was not named"
        for name, word, what in unnamed
        if name is None and word in typed
    )


def route(answers: Answers, policy: Policy) -> tuple[Step, ...]:
    """The steps in their order.

    Args:
        answers: settled, so that they do not contradict each other.
        policy: the one that will judge.
    """
    if answers.real_rows is None:
        return _uncounted(answers)
    if answers.nothing_real:
        return _without_real(answers, policy)
    if answers.modality != "table":
        return _other_modality(answers, policy)
    if answers.real_rows == 0:
        return _only_a_test(answers, policy)
    return _table(answers, policy)


def _uncounted(answers: Answers) -> tuple[Step, ...]:
    asked = "real_rows" if answers.has_test else "real_rows, and benchmark_rows for a test"
    count = Step("count the real records", "", f"Everything hangs on it: say how many there are ({asked}); 0 is none.")
    again = Step("ask again", "sterling advise ANSWERS.toml", "With the count there is a route.")
    return (count, again)


def _without_real(answers: Answers, policy: Policy) -> tuple[Step, ...]:
    need = policy.benchmark.rows
    alone = () if answers.stakes == "consequential" else (_prototype(answers),)
    test = Step(
        "collect a real test", "",
        f"{need:,} real records, labelled{_by_whom(answers)}, from where it will be used; nothing can be said without.",
    )  # fmt: skip
    again = Step("ask again", "sterling advise ANSWERS.toml", "With real records, the route is another one.")
    return (*alone, test, again)


def _only_a_test(answers: Answers, policy: Policy) -> tuple[Step, ...]:
    """Real records to judge by, and none to train on."""
    names = names_of(answers)
    held = shlex.quote(answers.holdout or HOLDOUT)
    judge = Step(
        "judge it on the test",
        f"sterling compare {held} {names.synthetic}{names.target}{names.rest} --json compare.json",
        "How far the synthetic set is from the real records; what it is worth needs real records that train.",
    )
    more = Step(
        "collect real records", "", "A few hundred that train show what the synthetic ones are worth beside them."
    )
    return (*_short_test(answers, policy), _made(answers), judge, more, _review(answers, policy), _gate("compare.json"))


def _prototype(answers: Answers) -> Step:
    made = _made(answers)
    told = "Build the prototype on synthetic records; it shows that the program runs, not that the model is right."
    return Step("prototype only", made.command, told)


def _table(answers: Answers, policy: Policy) -> tuple[Step, ...]:
    steps: list[Step] = [*_short_test(answers, policy)]
    names = names_of(answers)
    if answers.source == "none":
        steps.append(_real_only(names))
    if answers.source == "ours":
        steps.append(_made(answers))
    if answers.loop != "no":
        steps.append(_loop(answers, policy))
    steps.append(
        Step("compare", f"sterling compare {names.judged}{names.rest} --json compare.json",
             "Validate the set against real rows before any training: gaps, slices, labels, copies.")
    )  # fmt: skip
    if "privacy" in answers.purpose:
        return (*steps, _review(answers, policy), *_share(answers, names))
    thin = _thin(answers, policy)
    sliced = f" --slice {names.target.split(maxsplit=1)[1]}" if thin else ""
    worth = f"sterling worth {names.judged}{sliced}{_learner(answers)}{_stakes(answers)} --json worth.json"
    steps.append(Step("measure its worth", worth, "What the rows are worth in real rows, and up to where."))
    steps.append(_blend(answers, names, thin=thin))
    if answers.command is not None:
        steps.append(_order(answers, names, policy))
    steps += [_review(answers, policy), _gate("mix.json")]
    return tuple(steps)


def _other_modality(answers: Answers, policy: Policy) -> tuple[Step, ...]:
    """What can be done for records that Sterling cannot read yet: their table of facts, and your own trainings."""
    steps: list[Step] = [*_short_test(answers, policy), _made(answers)]
    if answers.loop != "no":
        steps.append(_loop(answers, policy))
    if "instructions" in answers.purpose:
        told = "The student is no better than its teacher: score the teacher on the real test before anything else."
        steps.append(Step("score the teacher", "", told))
    if answers.modality == "preference":
        steps.append(
            Step("let people validate", "",
                 "Preferences made by a model that judges models are checked by people: order, length, flattery.")
        )  # fmt: skip
    steps.append(
        Step("train at several sizes", "",
             "Train on 100, 200, 400 ... real records and on the synthetic ones alone, score on the real test, and "
             "write arm,rows,score,seed into runs.csv.")
    )  # fmt: skip
    steps.append(
        Step("measure its worth", f"sterling worth --from-runs runs.csv{_stakes(answers)} --json worth.json",
             "What they are worth in real records, from your own scores.")
    )  # fmt: skip
    if answers.real_rows:
        told = "Train on both, real records at weight 1; keep it only if it beats real alone by its standard error."
        steps.append(Step("blend", "", told))
    return (*steps, _review(answers, policy), _gate("worth.json"))


def _short_test(answers: Answers, policy: Policy) -> list[Step]:
    """What the test lacks: rows, or rows of the rarest class."""
    need, least = policy.benchmark.rows, policy.benchmark.minority_rows
    lacking: list[str] = []
    if answers.tests is not None and answers.tests < need:
        lacking.append(f"{plural(need - answers.tests, 'more real record')} for the test (it has {answers.tests:,})")
    rare = rarest_in_test(answers)
    if rare is not None and rare < least:
        lacking.append(f"{least - rare:,} more of the rarest class in it (about {rare:,} now)")
    if not lacking:
        return []
    why = f"{' and '.join(lacking)}, labelled{_by_whom(answers)}, from where it will be used."
    return [Step("collect a real test", "", why)]


def rarest_in_test(answers: Answers) -> int | None:
    """Rows of the rarest class to expect in the test; None where they were not counted."""
    if answers.rarest_rows is None or answers.tests is None:
        return None
    if not answers.usable_rows:  # all that were counted are in the test
        return answers.rarest_rows if answers.real_rows == 0 and answers.has_test else None
    return round(answers.rarest_rows * answers.tests / answers.usable_rows)


def rarest_in_train(answers: Answers) -> int | None:
    """Rows of the rarest class to expect in training; None where they were not counted."""
    if answers.rarest_rows is None or not answers.real_rows:
        return None
    return answers.rarest_rows if answers.has_test else answers.rarest_rows - (rarest_in_test(answers) or 0)


def _thin(answers: Answers, policy: Policy) -> bool:
    rare = rarest_in_train(answers)
    return "thin_class" in answers.purpose or (rare is not None and rare < policy.rare.few)


def _made(answers: Answers) -> Step:
    """How synthetic records come about."""
    if answers.source == "file":
        told = "Sterling cannot see how it was made: say what its generator saw (fitted_on)."
        return Step("take the set at hand", "", told)
    if answers.modality == "table" and answers.source == "ours" and answers.real_rows:
        names = names_of(answers)
        rows = max(answers.usable_rows, 1000)
        command = f"sterling generate {OWN} --from {names.real}{names.target} -n {rows} -o {names.synthetic}"
        return Step("generate", command, "Fitted on the train part alone, so that the test stays unseen.")
    kind = {
        "image": "a renderer with positions, classes and light under control, or a diffusion model",
        "speech": "a voice model with accent, speed and background under control",
        "text": "a language model, prompted by persona and topic",
        "preference": "two models that answer the same prompts",
        "document": "templates that are filled, printed and photographed",
        "trajectory": "a simulator with randomised light, texture and colour",
        "table": "rules and ranges that people of the field write down",
    }[answers.modality]
    return Step("generate elsewhere", "", f"Use {kind}; Sterling's own generators for it come with {LATER}.")


def _loop(answers: Answers, policy: Policy) -> Step:
    rows = f" --inject {number(policy.loops.fresh_rows)}" if answers.loop in ("inject", "replace") else ""
    command, names = "", names_of(answers)
    if answers.modality == "table" and answers.real_rows:
        command = f"sterling collapse {OWN} {names.real}{names.target} --generations 10{rows}"
    told = f"A slice needs {number(policy.loops.fresh_rows)} fresh real rows per generation, not a percentage."
    return Step("probe the loop", command, told)


def _real_only(names: Names) -> Step:
    command = f"sterling generate {OWN} --from {names.real}{names.target} -n 1000 -o {names.synthetic}"
    return Step("try one generator", command, "Until a set is shown to help, train on the real rows alone.")


def _share(answers: Answers, names: Names) -> tuple[Step, ...]:
    return (
        Step("attack", f"sterling compare {names.judged}{names.rest} --json attacks.json",
             "Every attack is tried, and each one's upper limit must lie within its bound."),
        _gate("attacks.json"),
        Step("ship", "sterling run study.toml --out out/study && sterling ship out/study -o out/shared "
             "--audience recipient", "The recipient's report holds no real row and no small count."),
    )  # fmt: skip


def _blend(answers: Answers, names: Names, *, thin: bool) -> Step:
    target = "" if not thin else " The thin class first: its own gain must be shown."
    command = f"sterling blend {names.judged}{_learner(answers)}{_stakes(answers)} -o mix --json mix.json"
    label = "augment the thin class, blend" if thin else "blend"
    return Step(label, command, f"Weights that beat real rows alone by their standard error, or none at all.{target}")


def _order(answers: Answers, names: Names, policy: Policy) -> Step:
    sure = number(policy.order.se_factor)
    command = f"sterling order {names.judged}{_learner(answers)}{_stakes(answers)}"
    return Step(
        "try the order",
        command,
        f"Pre-train then fine-tune, against the mix at equal cost; {sure} standard errors decide.",
    )


def _review(answers: Answers, policy: Policy) -> Step:
    who = {"expert": "experts", "qualified": "people who passed a test", "anyone": "people"}[policy.review.credentials]
    if "expert" in answers.declares:
        who = "experts"
    most = policy.review.error_max
    more = rows_more(*answers.seen, most)
    left = zero_error_rows(most) if more is None else more  # more wrong than allowed: mended, and reviewed anew
    found = "with errors no more frequent than now" if answers.seen[0] and more is not None else "without an error"
    why = f"Drawn at random, seen by {who}: {found}, fewer than {most:.1%} are wrong."
    return Step(f"review {plural(left, 'row')}" if left else "keep the review's record", "", why)


def _gate(result: str) -> Step:
    return Step("gate", f"sterling gate {result}", "Exit code 0 if it may be used, 1 if not, and why.")


def _by_whom(answers: Answers) -> str:
    return " by experts of the field" if "expert" in answers.declares else ""


def _learner(answers: Answers) -> str:
    return f" --learner command --set command={shlex.quote(answers.command)}" if answers.command else ""


def _stakes(answers: Answers) -> str:
    return " --stakes consequential" if answers.stakes == "consequential" else ""


def title(steps: tuple[Step, ...]) -> str:
    """The route in one line."""
    text = ", ".join(step.label for step in steps)
    return text[:1].upper() + text[1:]


def forbidden(answers: Answers, policy: Policy) -> tuple[tuple[str, str], ...]:
    """What must not be done, and the rule that says so."""
    alone = answers.stakes == "consequential" or bool({"regional", "expert", "safety"} & {*answers.declares})
    without = answers.nothing_real
    found = [
        (alone, "train on synthetic records alone", "D1"),
        ("subjective" in answers.declares, "take one person's, or a model's, judgement as the label", "D13"),
        (without, "rely on the model, or call it more than a prototype", "D15"),
        ("privacy" in answers.purpose, "share it before every attack was tried, or on distances alone", "D9"),
        (answers.loop != "no" and policy.loops.replace == "refuse",
         "replace real records by the generator's own output", "D10"),
        (not without, "mix unweighted: it harmed 45 % of measured runs", "D5"),
        (not without, "fit a generator, or tune anything, on the test", "D0"),
        (True, "judge the model on synthetic records", "D0"),
    ]  # fmt: skip
    return tuple((what, rule) for holds, what, rule in found if holds)


def what_would_change(answers: Answers, policy: Policy) -> tuple[tuple[str, str], ...]:
    """Evidence, and what it would change."""
    a, delta = answers, policy.bounds["utility"] / (2 if "subjective" in answers.declares else 1)
    without, low = a.nothing_real, a.stakes == "low" and "expert" not in a.declares
    rare, k = rarest_in_train(a), policy.mix.se_factor
    found = [
        (a.real_rows is None, "how many real records there are", "there is a route (D0, D15)"),
        (without, f"{policy.benchmark.rows:,} real records", "the cap at a prototype falls"),
        (not without and a.tests is not None and a.tests < policy.benchmark.rows,
         f"{policy.benchmark.rows - (a.tests or 0):,} more in the test",
         "a verdict becomes possible"),
        (not without and low and "regional" not in a.declares, f"synthetic alone loses surely less than {delta:g}",
         "it may stand in for real rows (D4)"),
        (not without, f"a mix gains more than {k:g} standard error{'s' if k != 1 else ''}", "it is adopted (D5)"),
        (not without, f"its worth is surely below {policy.stop_below:.0%} of the real rows held",
         "stop generating, collect (D6)"),
        (not without, "a slice of the real rows is missing or thin in it", "mend the generator first (D2)"),
        (rare is not None and rare < policy.rare.few, "rows of the thin class surely worth something for it",
         "use them for that class (D8)"),
        ("privacy" in a.purpose, "an attack surely beats its bound", "it must not be shared (D9)"),
        (bool(a.groups), "a group's outcome surely differs from the real one", "rebalance, or block (D11)"),
        (a.loop != "no", "a slice keeps less than its share in the probe", "more real rows, or stop (D10)"),
        (True, f"reviewers find surely more than {policy.review.error_max:.1%} wrong", "mend it, review again (D12)"),
        ("subjective" in a.declares and a.agreement is None,
         f"agreement of {policy.review.agreement:g} and more, kappa {policy.review.kappa:g} and more",
         "do not declare it subjective (D13)"),
        (len(a.prices) < 2, "prices of a real and a synthetic row", "which is cheaper (D6)"),
    ]  # fmt: skip
    return tuple((evidence, change) for holds, evidence, change in found if holds)
