"""The peer of `web.py`: what the same server takes to say hello."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.get("/")
def hello() -> PlainTextResponse:
    return PlainTextResponse("hello")
