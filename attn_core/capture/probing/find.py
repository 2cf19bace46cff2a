"""The wiring of a fresh model: found once, at load, in one short run with everything recorded."""

from __future__ import annotations

from dataclasses import replace

from attn_core import adapters
from attn_core.capture.own_head.find import find_head
from attn_core.capture.probing.blocks import chain
from attn_core.capture.probing.deriving import with_derived
from attn_core.capture.probing.keeping import with_places
from attn_core.capture.probing.logits import logit_rule
from attn_core.capture.probing.own_pass import compare_own_pass
from attn_core.capture.probing.short_run import ProbedModel, run_shortly
from attn_core.capture.probing.sites import find_sites
from attn_core.traces.wiring import Wiring


def find_wiring(probed: ProbedModel) -> Wiring:
    """Read the wiring of a model in float32 on the CPU from one short run.

    Raises UnsupportedFamily where what would be drawn is not what the model does, or cannot be told, and DamagedModel
    as `run_shortly` does.
    """
    short_run, hf_model = run_shortly(probed), probed.hf_model
    sites = find_sites(hf_model, short_run.record)
    wiring = chain(sites, short_run.record, short_run.last_states)
    wiring = with_derived(hf_model, with_places(wiring, short_run.record), short_run.record)
    own = compare_own_pass(probed, short_run, [site.stream for site in wiring.sites])
    calls = zip(short_run.record.attention, wiring.sites, strict=True)
    sinks = frozenset(site.stream for call, site in calls if call.rules.sink is not None)
    virtual = adapters.virtual_tokens(probed.owners)
    n_virtual = 0 if virtual is None else virtual.n_tokens
    rule = logit_rule(hf_model, wiring, short_run)
    head = find_head(hf_model, short_run.inputs, short_run.own_states, short_run.own)
    return replace(
        wiring,
        own_pass=own.states,
        own_weights=own.weights,
        logits=rule,
        sinks=sinks,
        virtual=n_virtual,
        own_head=head,
    )
