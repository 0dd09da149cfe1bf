internal import CZlib

/// Reads PNG files: [the specification](https://www.w3.org/TR/png-3/).
enum PNGFile {
    private static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    static func isPNG(_ file: [UInt8]) -> Bool { file.starts(with: signature) }

    /// The pixels, without transparency.
    static func decode(_ file: [UInt8], name: String) throws(ArchiveError) -> PixelImage {
        var (header, palette, data): (PNGHeader?, [UInt8], [UInt8]) = (nil, [], [])
        var position = signature.count
        var ended = false
        while !ended {
            let (kind, content) = try chunk(file, &position, name)
            switch kind {
            case "IHDR": header = try PNGHeader(content, name: name)
            case "PLTE": palette = Array(content)
            case "IDAT": data += content
            case "IEND": ended = true
            default: break
            }
        }
        guard let header else { throw ArchiveError(name, "the PNG file has no header") }
        let rows = try unfilter(try inflate(data, header, name), header, name)
        return try header.pixels(of: rows, palette: palette, name: name)
    }

    /// The chunk at a position, which moves behind it; its checksum is right.
    private static func chunk(
        _ file: [UInt8], _ position: inout Int, _ name: String
    ) throws(ArchiveError) -> (kind: String, content: ArraySlice<UInt8>) {
        let cut = ArchiveError(
            name, "the PNG file ends early", advice: "It was not written or copied to its end. Use another copy of it.")
        guard position + 12 <= file.count else { throw cut }
        let length = number(file[position..<(position + 4)])
        let end = position + 8 + length
        guard end + 4 <= file.count else { throw cut }
        let sum = file[(position + 4)..<end].withUnsafeBufferPointer {
            crc32(0, $0.baseAddress, UInt32($0.count))
        }
        guard sum == UInt(number(file[end..<(end + 4)])) else {
            throw ArchiveError(name, "the PNG file is damaged: a checksum is wrong", advice: "Use another copy of it.")
        }
        let kind = String(decoding: file[(position + 4)..<(position + 8)], as: UTF8.self)
        defer { position = end + 4 }
        return (kind, file[(position + 8)..<end])
    }

    static func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

    /// Unpacks the rows, each with the number of its filter before it; how many bytes they have is known.
    private static func inflate(_ data: [UInt8], _ header: PNGHeader, _ name: String) throws(ArchiveError) -> [UInt8] {
        let wanted = (header.rowBytes + 1) * header.height
        // Deflate makes at most 1032 bytes of one: a header that lies takes no memory.
        var status = Z_BUF_ERROR
        var length = uLongf(wanted)
        var rows: [UInt8] = []
        if wanted / 1032 <= data.count {
            rows = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, initialized in
                status = uncompress(buffer.baseAddress, &length, data, uLong(data.count))
                initialized = status == Z_OK ? Int(length) : 0
            }
        }
        guard status == Z_OK, Int(length) == wanted else {
            throw ArchiveError(
                name, "the pixels of the PNG file are damaged, or not as many as its header says",
                advice: "Use another copy of it.")
        }
        return rows
    }

    /// Undoes the filters of the rows, which told each byte's difference to its neighbours.
    private static func unfilter(
        _ filtered: [UInt8], _ header: PNGHeader, _ name: String
    ) throws(ArchiveError) -> [UInt8] {
        let size = header.rowBytes, step = header.pixelBytes
        var rows = [UInt8](repeating: 0, count: size * header.height)
        for row in 0..<header.height {
            let source = row * (size + 1), start = row * size
            let filter = filtered[source]
            guard filter <= 4 else { throw ArchiveError(name, "the PNG file has a row with the filter \(filter)") }
            for column in 0..<size {
                let left = column >= step ? rows[start + column - step] : 0
                let up = row > 0 ? rows[start + column - size] : 0
                let corner = row > 0 && column >= step ? rows[start + column - size - step] : 0
                let expected: UInt8
                switch filter {
                case 1: expected = left
                case 2: expected = up
                case 3: expected = UInt8((Int(left) + Int(up)) / 2)
                case 4: expected = paeth(left, up, corner)
                default: expected = 0
                }
                rows[start + column] = filtered[source + 1 + column] &+ expected
            }
        }
        return rows
    }

    /// Of three neighbours the one nearest to left + up − corner.
    private static func paeth(_ left: UInt8, _ up: UInt8, _ corner: UInt8) -> UInt8 {
        let estimate = Int(left) + Int(up) - Int(corner)
        let distances = (abs(estimate - Int(left)), abs(estimate - Int(up)), abs(estimate - Int(corner)))
        if distances.0 <= distances.1, distances.0 <= distances.2 { return left }
        return distances.1 <= distances.2 ? up : corner
    }
}

/// What a PNG file says about its pixels.
struct PNGHeader {
    let width: Int
    let height: Int
    private let bits: Int
    private let kind: Int

    init(_ bytes: ArraySlice<UInt8>, name: String) throws(ArchiveError) {
        guard bytes.count == 13 else { throw ArchiveError(name, "the header of the PNG file is damaged") }
        let start = bytes.startIndex
        width = PNGFile.number(bytes[start..<(start + 4)])
        height = PNGFile.number(bytes[(start + 4)..<(start + 8)])
        (bits, kind) = (Int(bytes[start + 8]), Int(bytes[start + 9]))
        guard width > 0, height > 0, width < 1 << 24, height < 1 << 24, [0, 2, 3, 4, 6].contains(kind) else {
            throw ArchiveError(name, "the header of the PNG file is damaged")
        }
        guard bits == 8 || bits < 8 && (kind == 0 || kind == 3) && [1, 2, 4].contains(bits) else {
            throw ArchiveError(
                name, "the PNG file has \(bits) bits a channel; at most 8 are read", advice: "Convert it to 8 bits.")
        }
        guard bytes[start + 12] == 0 else {
            throw ArchiveError(
                name, "the PNG file is interlaced, which is not read", advice: "Save it without interlacing.")
        }
    }

    /// Numbers stored for a pixel, transparency included.
    private var stored: Int { [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][kind] ?? 1 }
    /// Bytes between a byte and the one before it that means the same.
    var pixelBytes: Int { max(1, stored * bits / 8) }
    var rowBytes: Int { (width * stored * bits + 7) / 8 }

    /// The pixels that rows stand for.
    func pixels(of rows: [UInt8], palette: [UInt8], name: String) throws(ArchiveError) -> PixelImage {
        let isColor = kind == 2 || kind == 3 || kind == 6
        var pixels: [UInt8] = []
        pixels.reserveCapacity(width * height * (isColor ? 3 : 1))
        for row in 0..<height {
            for column in 0..<width {
                let value = bits == 8 ? rows[row * rowBytes + column * stored] : packed(rows, row, column)
                switch kind {
                case 3:
                    guard 3 * Int(value) + 2 < palette.count else {
                        throw ArchiveError(name, "the PNG file has a pixel of a colour that its palette does not have")
                    }
                    pixels += palette[(3 * Int(value))...(3 * Int(value) + 2)]
                case 2, 6:
                    let start = row * rowBytes + column * stored
                    pixels += rows[start...(start + 2)]
                default: pixels.append(bits == 8 ? value : UInt8(Int(value) * 255 / (1 << bits - 1)))
                }
            }
        }
        return PixelImage(width: width, height: height, channels: isColor ? .color : .gray, pixels: pixels)
    }

    /// One of several pixels in a byte; the first has the highest bits.
    private func packed(_ rows: [UInt8], _ row: Int, _ column: Int) -> UInt8 {
        let perByte = 8 / bits
        let byte = rows[row * rowBytes + column / perByte]
        return byte >> UInt8(8 - bits * (column % perByte + 1)) & UInt8(1 << bits - 1)
    }
}
