"""Controls that work with every method, because they act on its terms and on what it reads."""

from collections.abc import Sequence

from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.objectives import Objective, Terms, TermsOf


def weighted(objective: Objective, config: Config) -> Objective:
    """The objective with `Config.content_layer_weights` and ``style_layer_weights``.

    The terms "content/..." and "style/..." are multiplied by them, in the order in which the method
    names its layers. The terms raise InputError if there is not one weight for each layer.
    """
    given = {"content": config.content_layer_weights, "style": config.style_layer_weights}
    if not any(given.values()):
        return objective

    def with_content(content: Tensor) -> TermsOf:
        of = objective(content)

        def terms(image: Tensor) -> Terms:
            found = of(image)
            for group, weights in given.items():
                found |= _multiplied(found, group, weights)
            return found

        return terms

    return with_content


def _multiplied(terms: Terms, group: str, weights: Sequence[float]) -> Terms:
    names = [name for name in terms if name.startswith(f"{group}/")]
    if not weights:
        return {}
    if len(names) != len(weights):
        layers = " ".join(name.partition("/")[2] for name in names) or "none"
        raise InputError(
            f"{group}_layer_weights has {len(weights)} weights for {len(names)} {group} layers "
            f"({layers}); give one for each"
        )
    return {name: weight * terms[name] for name, weight in zip(names, weights, strict=True)}
