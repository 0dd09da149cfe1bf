"""Makes the pictures of Tests/DataLoadingTests/Golden/images, and what Pillow reads in them (pictures.json).

    python Tests/Scripts/make_images.py Tests/DataLoadingTests/Golden/images

Needs Pillow and NumPy. PNG files that Pillow would not write (all five filters by turns, 16 bits, interlaced) are put
together here and read back by Pillow.
"""
import json
import os
import struct
import sys
import zlib

import numpy
from PIL import Image

WIDTH, HEIGHT = 7, 9


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows, bits, kind, interlaced=0, parts=1, palette=None, height=HEIGHT):
    """A PNG file of filtered rows, its data cut into parts."""
    header = struct.pack(">IIBBBBB", WIDTH, height, bits, kind, 0, 0, interlaced)
    data = zlib.compress(rows)
    size = -(-len(data) // parts)
    body = b"".join(chunk(b"IDAT", data[i:i + size]) for i in range(0, len(data), size))
    colors = chunk(b"PLTE", palette) if palette else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + colors + body + chunk(b"IEND", b"")


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def filtered(pixels):
    """The rows of pixels [height, width, channels], each with another filter."""
    height, width, step = pixels.shape
    flat = pixels.reshape(height, -1).astype(int)
    rows = b""
    for y in range(height):
        kind = y % 5
        row = [kind]
        for x in range(width * step):
            left = flat[y, x - step] if x >= step else 0
            up = flat[y - 1, x] if y else 0
            corner = flat[y - 1, x - step] if y and x >= step else 0
            guess = [0, left, up, (left + up) // 2, paeth(left, up, corner)][kind]
            row.append((flat[y, x] - guess) % 256)
        rows += bytes(int(v) for v in row)
    return rows


def main(folder):
    random = numpy.random.default_rng(3)
    smooth = numpy.add.outer(numpy.arange(HEIGHT) * 20, numpy.arange(WIDTH) * 9)
    color = numpy.clip(smooth[..., None] + random.integers(-9, 60, (HEIGHT, WIDTH, 3)), 0, 255).astype(numpy.uint8)
    alpha = random.integers(0, 256, (HEIGHT, WIDTH, 1)).astype(numpy.uint8)
    gray = color[..., 0]
    image = Image.fromarray(color)
    made = {}

    def save(name, picture, **options):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(picture, bytes):
            with open(path, "wb") as file:
                file.write(picture)
        else:
            picture.save(path, **options)
        made[name] = path

    save("classes/ant/rgb.png", image)
    save("classes/ant/filters.png", png(filtered(color), 8, 2, parts=3))
    save("classes/ant/deeper/rgba.png", Image.fromarray(numpy.concatenate([color, alpha], 2)))
    save("classes/bee/gray.png", Image.fromarray(gray))
    save("classes/bee/gray-alpha.png", Image.fromarray(numpy.concatenate([gray[..., None], alpha], 2), "LA"))
    save("classes/bee/palette.png", image.quantize(200))
    save("classes/bee/palette16.png", image.quantize(11), bits=4)
    save("classes/cat/palette4.png", image.quantize(3), bits=2)
    save("classes/cat/bits.png", Image.fromarray(gray > 90))
    for bits in (2, 4):
        values = (gray >> (8 - bits)).astype(int)
        rows = b""
        for row in values:
            number = int("".join(format(v, f"0{bits}b") for v in row).ljust(-(-WIDTH * bits // 8) * 8, "0"), 2)
            rows += b"\x00" + number.to_bytes(-(-WIDTH * bits // 8), "big")
        save(f"classes/cat/gray{bits}.png", png(rows, bits, 0))
    save("classes/cat/filters-gray.png", png(filtered(gray[..., None]), 8, 0))
    save("classes/cat/filters-rgba.png", png(filtered(numpy.concatenate([color, alpha], 2)), 8, 6))
    save("classes/dog/color.ppm", image)
    save("classes/dog/gray.pgm", Image.fromarray(gray))
    text = "P3\n# by hand\n%d %d 100\n" % (WIDTH, HEIGHT) + " ".join(str(int(v) * 100 // 255) for v in color.ravel()) + "\n"
    save("classes/dog/text.ppm", text.encode())
    text = "P2 %d %d\n255\n" % (WIDTH, HEIGHT) + "\n".join(str(v) for v in gray.ravel())
    save("classes/dog/text.pgm", text.encode())

    record = {}
    for name, path in sorted(made.items()):
        with Image.open(path) as picture:
            record[name] = {
                "color": numpy.asarray(picture.convert("RGB")).ravel().tolist(),
                "gray": numpy.asarray(picture.convert("L")).ravel().tolist(),
            }
    with open(os.path.join(folder, "pictures.json"), "w") as file:
        json.dump({"width": WIDTH, "height": HEIGHT, "pictures": record}, file, separators=(",", ":"), sort_keys=True)
        file.write("\n")

    # What is refused.
    wide = numpy.repeat(color.astype(numpy.uint16)[..., :1] * 257, 1, 2)
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in wide)
    save("refused/deep.png", png(rows, 16, 0))
    passes = b"".join(b"\x00" + bytes(len(range(x0, WIDTH, dx))) for x0, y0, dx, dy in
                      [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
                      for _ in range(y0, HEIGHT, dy) if x0 < WIDTH)
    save("refused/interlaced.png", png(passes, 8, 0, interlaced=1))
    for name in ("refused/deep.png", "refused/interlaced.png"):
        with Image.open(made[name]) as picture:
            picture.load()


main(sys.argv[1])
