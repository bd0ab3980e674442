"""The body of a request as the bytes that came: signatures are made over those."""

from typing import Annotated

from fastapi import Depends, Request


async def _read(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_read)]
