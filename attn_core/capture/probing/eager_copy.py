"""A model's tree of modules once more, with the same weights and its family's own attention, to run another way.

No tensor is copied, and the model itself stays as it is, so others may run it meanwhile.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


def eager_copy(hf_model: Any, stand_ins: Mapping[str, Callable[[nn.Module], nn.Module]]) -> Any:
    """The copy, in which `stand_ins` take the place of modules: each is made of the module of that name.

    A module that stands in several places is one module in the copy, too.
    """
    configs: dict[int, Any] = {}  # of `copy.deepcopy`: a configuration within another stays the same object
    copies: dict[int, nn.Module] = {}

    def copied(module: nn.Module, name: str) -> nn.Module:
        if id(module) not in copies:
            own = copies[id(module)] = copy.copy(module)
            own._modules = {
                key: None if child is None else copied(child, f"{name}.{key}".lstrip("."))
                for key, child in module._modules.items()
            }
            for hooks in _HOOKS:
                setattr(own, hooks, getattr(module, hooks).copy())
            config: Any = getattr(module, "config", None)
            if hasattr(config, "_attn_implementation_internal"):
                config = own.config = copy.deepcopy(config, configs)
                config._attn_implementation_internal = "eager"
            if name in stand_ins:
                copies[id(module)] = stand_ins[name](own)
        return copies[id(module)]

    return copied(hf_model, "")
