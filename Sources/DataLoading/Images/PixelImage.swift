import Foundation
import Tensors

/// How many numbers a pixel has.
public enum ImageChannels: Int, Sendable, Codable {
    /// Brightness alone; colours are weighted as in ITU-R BT.601.
    case gray = 1
    /// Red, green and blue.
    case color = 3
}

/// A picture in memory: rows of pixels, a byte for each channel.
///
/// Reads PNG (8 bits a channel, gray, colour or a palette, with or without transparency, which is dropped; gray and
/// palettes of fewer bits too; not interlaced) and Netpbm's PGM and PPM.
public struct PixelImage: Sendable, Equatable {
    /// Pixels in a row.
    public let width: Int
    /// Rows.
    public let height: Int
    /// What a pixel consists of.
    public let channels: ImageChannels
    /// `height · width · channels` bytes.
    public let pixels: [UInt8]

    /// A picture of pixels, as many as it has.
    init(width: Int, height: Int, channels: ImageChannels, pixels: [UInt8]) {
        self.width = width
        self.height = height
        self.channels = channels
        self.pixels = pixels
    }

    /// Reads a file; what it is follows from its first bytes.
    ///
    /// - Throws: ``ArchiveError`` when the file is missing, damaged, or of a kind that is not read.
    public init(contentsOf path: String) throws {
        try self.init(readFile(path), name: path)
    }

    /// Reads a file that is in memory.
    ///
    /// - Parameters:
    ///   - file: The bytes of the file.
    ///   - name: What messages call it.
    public init(_ file: [UInt8], name: String = "picture") throws {
        if PNGFile.isPNG(file) {
            self = try PNGFile.decode(file, name: name)
        } else if NetpbmFile.isNetpbm(file) {
            self = try NetpbmFile.decode(file, name: name)
        } else {
            throw ArchiveError(
                name, "this is neither a PNG nor a PGM or PPM file", advice: "Convert it, for example to PNG.")
        }
    }

    /// The picture with so many channels.
    public func converted(to wanted: ImageChannels) -> PixelImage {
        guard wanted != channels else { return self }
        var converted: [UInt8] = []
        converted.reserveCapacity(width * height * wanted.rawValue)
        switch wanted {
        case .color: for value in pixels { converted += [value, value, value] }
        case .gray:
            for start in stride(from: 0, to: pixels.count, by: 3) {
                // 0.299, 0.587 and 0.114 in 65536ths, rounded: what Pillow computes.
                let (red, green, blue) = (Int(pixels[start]), Int(pixels[start + 1]), Int(pixels[start + 2]))
                converted.append(UInt8((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16))
            }
        }
        return PixelImage(width: width, height: height, channels: wanted, pixels: converted)
    }

    /// `[channels, height, width]` of `float32` from 0 to 1.
    public var tensor: Tensor {
        let plane = width * height, count = channels.rawValue
        let values = [Float](unsafeUninitializedCapacity: plane * count) { values, initialized in
            for pixel in 0..<plane {
                for channel in 0..<count {
                    values[channel * plane + pixel] = Float(pixels[pixel * count + channel]) / 255
                }
            }
            initialized = plane * count
        }
        return Tensor(values, shape: [count, height, width])
    }
}
