"""Bytes to pixels and back, in every encoding; data that contradicts itself is refused."""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.camera.encodings import (
    ENCODINGS,
    ImageError,
    compress,
    convert,
    decompress,
    encoding_named,
    opencv_encoding,
    resized,
    to_array,
    to_bytes,
)

COLORS = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "rgb16", "bgr16", "rgba16", "bgra16", "mono16")
SENSORS = [name for name in ENCODINGS if name not in COLORS]
# One saturated colour that no mix-up of channels leaves alone.
RED, GREEN, BLUE = 200, 120, 40


def plain(encoding: str, height: int = 6, width: int = 8):
    """A picture of one colour in a colour encoding."""
    kind = encoding_named(encoding)
    grey = round(0.299 * RED + 0.587 * GREEN + 0.114 * BLUE)
    values = {"r": RED, "g": GREEN, "b": BLUE, "a": 255}
    pixel = [grey] if kind.family == "mono" else [values[letter] for letter in kind.family]
    scale = 257 if kind.dtype.itemsize == 2 else 1
    shape = (height, width) if kind.channels == 1 else (height, width, kind.channels)
    return np.full(shape, np.array(pixel if kind.channels > 1 else grey) * scale, kind.dtype)


def mosaic(order: str, height: int = 8, width: int = 8):
    """What a sensor with this colour filter sees of the plain colour."""
    values = {"r": RED, "g": GREEN, "b": BLUE}
    tile = np.array([values[letter] for letter in order], np.uint8).reshape(2, 2)
    return np.tile(tile, (height // 2, width // 2))


@pytest.mark.parametrize(("source", "target"), list(itertools.product(COLORS, COLORS)))
def test_colours_to_colours(source: str, target: str):
    result = convert(plain(source), source, target)
    expected = plain(source if source.startswith("mono") else target)
    wanted = encoding_named(target)
    assert result.dtype == wanted.dtype
    assert (1 if result.ndim == 2 else result.shape[2]) == wanted.channels
    if source.startswith("mono"):
        level = round(0.299 * RED + 0.587 * GREEN + 0.114 * BLUE) * (257 if wanted.dtype.itemsize == 2 else 1)
        colours = result if result.ndim == 2 else result[..., :3]
        assert (colours == level).all()
    else:
        np.testing.assert_allclose(result, expected, atol=257 if wanted.dtype.itemsize == 2 else 1)


@pytest.mark.parametrize(("order", "bits"), list(itertools.product(("rggb", "bggr", "gbrg", "grbg"), (8, 16))))
def test_colour_filters(order: str, bits: int):
    raw = mosaic(order).astype(np.uint16) * 257 if bits == 16 else mosaic(order)
    result = convert(raw, f"bayer_{order}{bits}", "rgb8")
    assert result[4, 4].tolist() == [RED, GREEN, BLUE]
    assert convert(raw, f"bayer_{order}{bits}", "bgr8")[4, 4].tolist() == [BLUE, GREEN, RED]


def test_packed_yuv():
    """BT.601 limited range, worked out by hand for the plain colour; U and V change places if the order is wrong."""
    y = round(16 + 0.257 * RED + 0.504 * GREEN + 0.098 * BLUE)
    u = round(128 - 0.148 * RED - 0.291 * GREEN + 0.439 * BLUE)
    v = round(128 + 0.439 * RED - 0.368 * GREEN - 0.071 * BLUE)
    rows = {"uyvy": [u, y, v, y], "yuyv": [y, u, y, v]}
    for name, family in (("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")):
        data = bytes(rows[family] * 4 * 4)
        pixels = to_array(data, 4, 8, 16, name)
        np.testing.assert_allclose(convert(pixels, name, "rgb8"), plain("rgb8", 4, 8), atol=3)
        np.testing.assert_allclose(convert(pixels, name, "bgra8")[..., :3], plain("bgr8", 4, 8), atol=3)
        assert convert(pixels, name, "mono8").shape == (4, 8)
    planar = bytes([y] * 32 + [v, u] * 8)
    pixels = to_array(planar, 4, 8, 8, "nv21")
    np.testing.assert_allclose(convert(pixels, "nv21", "rgb8"), plain("rgb8", 4, 8), atol=3)


def test_depths_are_scaled_onto_each_other():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    deep = convert(every, "mono8", "mono16")
    assert (deep[0, 0], deep[-1, -1]) == (0, 65535)
    np.testing.assert_array_equal(convert(deep, "mono16", "mono8"), every)


def test_numbers_convert_only_to_as_many_channels():
    depth = np.full((4, 4), 1.6, np.float32)
    assert convert(depth, "32FC1", "16UC1").tolist() == [[2] * 4] * 4
    assert convert(np.full((4, 4), -7.0, np.float32), "32FC1", "16UC1").max() == 0
    assert convert(plain("mono8"), "mono8", "32FC1").dtype == np.float32
    with pytest.raises(ImageError, match="says nothing about colours"):
        convert(np.zeros((4, 4, 3), np.uint8), "8UC3", "bgr8")
    with pytest.raises(ImageError, match="channels"):
        convert(plain("bgr8"), "bgr8", "32FC1")


@pytest.mark.parametrize("sensor", SENSORS)
def test_sensor_formats_are_never_a_target(sensor: str):
    with pytest.raises(ImageError, match="cannot be converted to the sensor format"):
        convert(plain("bgr8"), "bgr8", sensor)


def test_passthrough_and_same_do_not_copy():
    pixels = plain("bgr8")
    assert convert(pixels, "bgr8", "passthrough") is pixels
    assert convert(pixels, "bgr8", "bgr8") is pixels


def test_array_is_a_view_without_the_padding():
    data = bytearray(range(48))
    pixels = to_array(data, 3, 5, 16, "bgr8")
    assert pixels.shape == (3, 5, 3)
    assert pixels[1, 0].tolist() == [16, 17, 18]
    data[16] = 99
    assert pixels[1, 0, 0] == 99


def test_a_step_that_is_no_multiple_of_the_pixel():
    assert to_array(bytes(range(20)), 2, 3, 10, "bgr8")[1, 0].tolist() == [10, 11, 12]


def test_the_last_rows_padding_may_be_missing():
    assert to_array(bytes(16 + 15), 2, 5, 16, "bgr8").shape == (2, 5, 3)
    with pytest.raises(ImageError, match="needs 31 bytes of data, got 30"):
        to_array(bytes(16 + 14), 2, 5, 16, "bgr8")


def test_byte_order():
    data = b"\x01\x02\x03\x04"
    assert to_array(data, 1, 2, 4, "mono16", is_bigendian=False).tolist() == [[0x0201, 0x0403]]
    big = to_array(data, 1, 2, 4, "mono16", is_bigendian=True)
    assert big.tolist() == [[0x0102, 0x0304]]
    assert big.dtype.isnative
    flat, name, step, is_bigendian = to_bytes(np.array([[0x0102, 0x0304]], ">u2"), "mono16")
    assert (flat.tobytes(), name, step, is_bigendian) == (data, "mono16", 4, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((bytes(100), 0, 5, 15, "bgr8"), "empty"),
        ((bytes(100), 5, -1, 15, "bgr8"), "empty"),
        ((bytes(100), 2, 5, 14, "bgr8"), "step 14 is too small .* at least 15"),
        ((b"", 2, 5, 15, "bgr8"), "needs 30 bytes of data, got 0"),
        ((bytes(100), 2**31, 2**31, 2**33, "bgr8"), "bytes of data"),
        ((bytes(100), 2, 5, 15, "rbg8"), "unknown image encoding 'rbg8'; did you mean"),
        ((bytes(100), 2, 5, 15, "64UC1"), "unknown image encoding"),
        ((bytes(100), 2, 5, 15, ""), "unknown image encoding"),
    ],
)
def test_data_that_contradicts_itself(arguments: tuple[Any, ...], sentence: str):
    with pytest.raises(ImageError, match=sentence):
        to_array(*arguments)


@given(
    data=st.binary(max_size=64),
    height=st.integers(-1, 9),
    width=st.integers(-1, 9),
    step=st.integers(-1, 40),
    encoding=st.sampled_from([*ENCODINGS, "8UC3", "32FC1", "64FC2", "8UC0", "x"]),
    is_bigendian=st.booleans(),
)
def test_any_header_gives_a_picture_or_a_sentence(  # noqa: PLR0917
    data: bytes, height: int, width: int, step: int, encoding: str, is_bigendian: bool
):
    try:
        pixels = to_array(data, height, width, step, encoding, is_bigendian)
    except ImageError:
        return
    assert pixels.shape[1] == width
    assert pixels.nbytes <= len(data)


@given(
    name=st.sampled_from([*COLORS, "8UC2", "16SC1", "32FC3", "64FC1"]),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    seed=st.integers(0, 99),
)
def test_there_and_back(name: str, height: int, width: int, seed: int):
    kind = encoding_named(name)
    shape = (height, width) if kind.channels == 1 else (height, width, kind.channels)
    pixels = np.random.default_rng(seed).integers(0, 100, shape).astype(kind.dtype)
    flat, given_name, step, is_bigendian = to_bytes(pixels, name)
    assert given_name == name
    np.testing.assert_array_equal(to_array(flat, height, width, step, name, is_bigendian), pixels)
    assert encoding_named(to_bytes(pixels)[1])[1:3] == kind[1:3]  # passthrough names type and channels


def test_arrays_that_are_not_what_the_encoding_says():
    with pytest.raises(ImageError, match="means 3 channels of uint8, but the array has 1 of uint8"):
        to_bytes(np.zeros((4, 4), np.uint8), "bgr8")
    with pytest.raises(ImageError, match="means 1 channels of uint16"):
        to_bytes(np.zeros((4, 4), np.uint8), "mono16")
    with pytest.raises(ImageError, match="is not an image"):
        to_bytes(np.zeros(4, np.uint8))
    with pytest.raises(ImageError, match="is not an image"):
        to_bytes(np.zeros((4, 4), bool))


def test_a_slice_is_copied_in_order():
    pixels = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    flat, _, step, _ = to_bytes(pixels[::2, ::-1], "bgr8")
    assert step == 12
    np.testing.assert_array_equal(flat.reshape(3, 4, 3), pixels[::2, ::-1])


@pytest.mark.parametrize("encoding", COLORS)
def test_jpeg_shows_the_same_colour(encoding: str):
    picture = decompress(compress(plain(encoding, 32, 32), encoding, 95))
    expected = plain("mono8" if encoding.startswith("mono") else "bgr8", 32, 32)
    np.testing.assert_allclose(picture.astype(int), expected, atol=4)


@pytest.mark.parametrize("encoding", COLORS)
def test_png_keeps_depth_and_transparency(encoding: str):
    pixels = plain(encoding)
    if encoding_named(encoding).channels == 4:
        pixels[..., 3] //= 2
    kept = decompress(compress(pixels, encoding, suffix=".png"), encoding)
    np.testing.assert_array_equal(kept, pixels)


def test_compressed_data_that_is_none():
    for data in (b"", b"\xff\xd8\xff torn"):
        with pytest.raises(ImageError, match="cannot be decoded"):
            decompress(data)
    with pytest.raises(ImageError, match="cannot be written"):
        compress(plain("bgr8"), "bgr8", suffix=".nonsense")


def test_quality_matters():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert compress(noise, "bgr8", 10).size < compress(noise, "bgr8", 90).size / 2


def test_resized():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert resized(pixels, 64, 48) is pixels
    small = resized(pixels, 32, 24)
    np.testing.assert_allclose(small, pixels.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3)), atol=1)
    assert resized(pixels, 100, 20).shape == (20, 100, 3)


def test_what_opencv_decodes():
    assert opencv_encoding(np.zeros((2, 2), np.uint16)) == "mono16"
    assert opencv_encoding(cv2.merge([np.zeros((2, 2), np.uint8)] * 4)) == "bgra8"
    for wrong in (np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2), np.float32), np.zeros((0, 2), np.uint8)):
        with pytest.raises(ImageError, match="is not a picture"):
            opencv_encoding(wrong)
