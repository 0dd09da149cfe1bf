import Tensors

/// Pictures as PNG files, without compression: the pixels lie in stored blocks of the deflate format.
public enum PNGImage {
    /// The PNG file of a picture.
    ///
    /// - Parameter image: `[height, width]`, `[1, height, width]` or `[3, height, width]`: grey or red, green and blue;
    ///   `uint8`, or numbers 0 … 1, of which those outside count as the nearest.
    public static func encode(_ image: Tensor) -> [UInt8] {
        let shape = image.rank == 2 ? [1] + Array(image.shape) : Array(image.shape)
        require(
            shape.count == 3 && (shape[0] == 1 || shape[0] == 3) && shape[1] > 0 && shape[2] > 0, "PNGImage",
            "an image of shape \(image.shape); it is [height, width] or [1 or 3, height, width]")
        let (channels, height, width) = (shape[0], shape[1], shape[2])
        let scale = image.dtype == .uint8 ? 1.0 : 255
        let values = image.doubles.map { UInt8(min(max(($0.isNaN ? 0 : $0) * scale, 0), 255).rounded()) }
        var rows: [UInt8] = []
        for row in 0..<height {
            rows.append(0)  // the filter of the row: none
            for column in 0..<width {
                for channel in 0..<channels { rows.append(values[(channel * height + row) * width + column]) }
            }
        }
        var file: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
        // 8 bits a channel; grey or colour; the only compression and filtering there are; not interlaced.
        file += chunk("IHDR", bytes(width) + bytes(height) + [8, channels == 1 ? 0 : 2, 0, 0, 0])
        file += chunk("IDAT", stored(rows))
        file += chunk("IEND", [])
        return file
    }

    /// A zlib stream of stored blocks.
    private static func stored(_ data: [UInt8]) -> [UInt8] {
        var stream: [UInt8] = [0x78, 0x01]
        for start in stride(from: 0, to: data.count, by: 0xffff) {
            let block = data[start..<min(start + 0xffff, data.count)]
            let size = UInt16(block.count)
            stream.append(start + block.count == data.count ? 1 : 0)
            for number in [size, ~size] { stream += [UInt8(truncatingIfNeeded: number), UInt8(number >> 8)] }
            stream += block
        }
        var (a, b) = (UInt32(1), UInt32(0))  // Adler-32
        for byte in data {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        return stream + bytes(Int(b << 16 | a))
    }

    private static func chunk(_ kind: String, _ data: [UInt8]) -> [UInt8] {
        let content = Array(kind.utf8) + data
        return bytes(data.count) + content + bytes(Int(CyclicCheck.ieee.checksum(content)))
    }

    private static func bytes(_ number: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }
}
