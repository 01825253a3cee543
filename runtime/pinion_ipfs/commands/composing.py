"""Which backends the commands ask: those that the environment chooses and this machine has, then a gateway."""

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..backends.base import Backend
from ..backends.gateway import Gateway
from ..errors import ContentMissing
from ..routing.choice import HF_CACHE, KUBO, KUBO_RPC, choose_backends
from ..routing.finding import find_backend, find_kubo_rpc
from ..routing.router import Router
from .environment import check_authorities

_MORE_TO_ASK = "only the local store was asked: name a Kubo by --kubo-api, KUBO_API or KUBO_CMD, or a gateway by --gateway"


class NoEntry(ContentMissing):
    """A directory that is there lacks a name; whoever else were asked, it would."""


@asynccontextmanager
async def open_router(options: argparse.Namespace) -> AsyncIterator[Router]:
    """Open a router of all that is configured."""
    check_authorities()
    backends = chosen_backends(options)
    router = Router(backends)
    try:
        yield router
    except NoEntry:
        raise
    except ContentMissing as error:
        if [backend.name for backend in backends] == [HF_CACHE]:
            raise ContentMissing(f"{error}; {_MORE_TO_ASK}") from error
        raise
    finally:
        await router.close()


def chosen_backends(options: argparse.Namespace) -> list[Backend]:
    """Return the backends that the environment chooses and this machine has, then those that options name beside them."""
    chosen = choose_backends(os.environ)
    made = [find_backend(name, options.kubo_api) for name in chosen]
    if options.kubo_api and KUBO not in chosen and KUBO_RPC not in chosen:
        made.append(find_kubo_rpc(options.kubo_api))
    if options.gateway:
        made.append(Gateway("gateway", options.gateway))
    return [backend for backend in made if backend is not None]
