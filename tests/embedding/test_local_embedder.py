import asyncio
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from ragstore.embedding.local import NOTHING_RECOGNISED, LocalEmbedder

TEXTS = [
    "A cat sleeps on the warm windowsill.",
    "The kitten naps in the sun by the window.",
    "Interest rates rose by half a percent in March.",
    "Leitzinsen steigen um einen halben Prozentpunkt.",
    "def main(): return 0",
]

embedder = LocalEmbedder()


async def test_vectors_are_unit_length_padded_and_mean_something() -> None:
    vectors = await embedder.embed_documents(TEXTS)
    assert vectors.shape == (5, 1536)
    assert vectors.dtype == np.float32
    assert not vectors[:, 256:].any()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    similar = vectors @ vectors.T
    assert similar[0, 1] > similar[0, 2] + 0.2


async def test_a_text_has_one_vector_alone_in_a_batch_and_as_a_query() -> None:
    texts = [f"{text} {n}" for n in range(120) for text in TEXTS]
    together = await embedder.embed_documents(texts)
    np.testing.assert_array_equal((await embedder.embed_documents(texts[500:501]))[0], together[500])
    np.testing.assert_array_equal(await embedder.embed_query(texts[500]), together[500])


async def test_long_query_equals_long_document() -> None:
    text = "words of a very long text " * 4000  # several blocks of tokens, and not inline
    query = await embedder.embed_query(text)
    assert query.shape == (1536,)
    np.testing.assert_array_equal(query, (await embedder.embed_documents([text]))[0])


async def test_blank_texts_share_one_reserved_direction() -> None:
    vectors = await embedder.embed_documents(["", "  \n\t ", "\u3000", *TEXTS])
    assert (vectors[:3, NOTHING_RECOGNISED] == 1).all()
    assert not (vectors[:3] @ vectors[3:].T).any()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("text", ["🙂", "\u0301", "\x00", "<s>", "<unk>", "ខ្មែរ", "\ufffd", "\u200b"])
async def test_odd_texts_have_a_vector_of_length_1(text: str) -> None:
    np.testing.assert_allclose(np.linalg.norm(await embedder.embed_query(text)), 1, rtol=1e-6)


async def test_no_texts() -> None:
    assert (await embedder.embed_documents([])).shape == (0, 1536)


def test_loading_from_many_threads_reads_once() -> None:
    fresh, seen = LocalEmbedder(), []
    threads = [threading.Thread(target=lambda: seen.append(fresh.load())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(weights) for weights in seen}) == 1


async def test_a_batch_does_not_block_the_event_loop() -> None:
    embedder.load()
    work = asyncio.create_task(embedder.embed_documents(TEXTS * 1000))
    ticks = 0
    while not work.done():
        await asyncio.sleep(0.002)
        ticks += 1
    assert (await work).shape == (5000, 1536)
    assert ticks > 5


ALONE = """
import asyncio, logging, os, socket, sys
socket.socket.connect = socket.getaddrinfo = lambda *args, **more: sys.exit("network used")
from ragstore.embedding.local import LocalEmbedder
mine = asyncio.run(LocalEmbedder().embed_documents(TEXTS))
assert not logging.getLogger().handlers, "root logger configured"
assert "wordllama" not in sys.modules
import numpy as np
from tokenizers import Tokenizer
from ragstore.embedding.tokens import wordllama_file, TOKENIZER_FILE
from safetensors import safe_open
from wordllama import WordLlamaInference
tokenizer = Tokenizer.from_file(str(wordllama_file(TOKENIZER_FILE)))
with safe_open(wordllama_file("weights/l2_supercat_256.safetensors"), "np") as file:
    theirs = WordLlamaInference(file.get_tensor("embedding.weight"), tokenizer)
np.testing.assert_allclose(mine[:, :256], theirs.embed(TEXTS, norm=True), atol=1e-6)
"""


def test_loads_without_network_or_home_silently_and_equals_wordllama(tmp_path: object) -> None:
    code = ALONE.replace("TEXTS", repr(TEXTS))
    command = [sys.executable, "-W", "error", "-c", code]
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, "-n", "true"], capture_output=True).returncode == 0:
        command = [unshare, "-n", *command]
    done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path)}, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
