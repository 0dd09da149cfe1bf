internal import CZlib
import Foundation

/// Files compressed by gzip.
public enum GZip {
    /// Decompresses a file into memory.
    ///
    /// Several compressed parts one after the other are joined, as `gunzip` does.
    ///
    /// - Parameter path: The compressed file.
    /// - Returns: The decompressed bytes.
    /// - Throws: `ArchiveError` when the file is missing, is not a gzip file, ends early, or is damaged (gzip has a
    ///   CRC-32 and the length at its end).
    public static func decompress(contentsOf path: String) throws(ArchiveError) -> [UInt8] {
        try decompress(readFile(path), name: path)
    }

    /// Decompresses bytes in memory.
    ///
    /// - Parameters:
    ///   - compressed: The bytes of a gzip file.
    ///   - name: What messages call them.
    /// - Throws: `ArchiveError`, as for a file.
    public static func decompress(_ compressed: [UInt8], name: String = "gzip data") throws(ArchiveError) -> [UInt8] {
        guard isCompressed(compressed) else {
            throw ArchiveError(name, "this is not a gzip file", advice: "A gzip file begins with the bytes 1f 8b.")
        }
        var stream = z_stream()
        guard czlib_begin_gunzip(&stream) == Z_OK else { throw ArchiveError(name, "zlib could not be started") }
        defer { inflateEnd(&stream) }
        return try inflateAll(&stream, compressed, name: name)
    }

    /// Whether bytes begin as a gzip file does.
    ///
    /// - Parameter bytes: The beginning of a file.
    public static func isCompressed(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: [0x1F, 0x8B])
    }

    private static func inflateAll(
        _ stream: inout z_stream, _ compressed: [UInt8], name: String
    ) throws(ArchiveError) -> [UInt8] {
        var result: [UInt8] = []
        // The length modulo 2³² stands in the last four bytes; as a guess it saves growing, so it need not be true.
        let length = compressed.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        result.reserveCapacity(min(length, compressed.count * 1032))
        var position = 0
        while true {
            let (status, produced, consumed) = step(&stream, compressed, from: position)
            result.append(contentsOf: produced)
            position += consumed
            switch status {
            case Z_STREAM_END:
                // Another part follows, or zeros that fill up a block of a tape.
                guard compressed[position...].contains(where: { $0 != 0 }) else { return result }
                guard inflateReset(&stream) == Z_OK else { throw ArchiveError(name, "zlib could not be restarted") }
            case Z_OK where position < compressed.count || produced.count == blockSize:
                continue
            case Z_OK, Z_BUF_ERROR:
                throw ArchiveError(
                    name, "the compressed data ends early, after \(result.count) decompressed bytes",
                    advice: "The file was not written or copied to its end. Use another copy of it.")
            default:
                let cause = stream.msg.map { String(cString: $0) } ?? "zlib reports status \(status)"
                throw ArchiveError(
                    name, "the compressed data is damaged: \(cause)", advice: "Use another copy of the file.")
            }
        }
    }

    private static let blockSize = 1 << 20

    /// Decompresses one block: as much as there is input, or as fits the block.
    private static func step(
        _ stream: inout z_stream, _ input: [UInt8], from position: Int
    ) -> (status: Int32, produced: [UInt8], consumed: Int) {
        var status = Z_OK
        var consumed = 0
        let produced = [UInt8](unsafeUninitializedCapacity: blockSize) { output, initialized in
            input.withUnsafeBufferPointer { input in
                // zlib counts in 32 bits; a longer file is handed over in parts.
                let available = min(input.count - position, Int(UInt32.max))
                stream.next_in = input.baseAddress.map { UnsafeMutablePointer(mutating: $0 + position) }
                stream.avail_in = UInt32(available)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(blockSize)
                status = inflate(&stream, Z_NO_FLUSH)
                consumed = available - Int(stream.avail_in)
                initialized = blockSize - Int(stream.avail_out)
            }
        }
        return (status, produced, consumed)
    }
}

/// Reads a whole file.
func readFile(_ path: String) throws(ArchiveError) -> [UInt8] {
    do {
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch CocoaError.fileReadNoSuchFile {
        throw ArchiveError(path, "there is no such file")
    } catch {
        throw ArchiveError(path, "the file cannot be read: \(error.localizedDescription)")
    }
}
