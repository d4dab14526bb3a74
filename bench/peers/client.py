"""What an application does that has the model on its own side: fetch rows, then score them."""

import io

import numpy as np


def fetch_text(connection, query):
    """Of (id, real[]): ids, and an array, through the protocol's texts, as every driver does it."""
    rows = connection.ask(query)
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.float32)


def fetch_binary(connection, query, width):
    """The same through COPY in binary, taken apart by numpy: as fast as rows can be fetched."""
    buffer = io.BytesIO()
    connection.cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", buffer)
    header, trailer = 19, 2
    row = 2 + (4 + 4) + (4 + 20) + 8 * width        # columns; length, id; length, array's header; length and value of each element
    data = np.frombuffer(buffer.getbuffer(), np.uint8)[header:-trailer].reshape(-1, row)
    ids = data[:, 6:10].copy().view(">i4")[:, 0]
    values = data[:, 34:].copy().view(">u4").reshape(-1, width, 2)[:, :, 1].astype("<u4").view("<f4")
    return ids, values
