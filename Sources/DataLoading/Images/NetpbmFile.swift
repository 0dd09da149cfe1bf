/// Reads PGM and PPM files, as numbers in text (`P2`, `P3`) or as bytes (`P5`, `P6`):
/// [the formats](https://netpbm.sourceforge.net/doc/).
struct NetpbmFile {
    private let file: [UInt8]
    private let name: String
    private var position = 2

    static func isNetpbm(_ file: [UInt8]) -> Bool {
        file.count > 2 && file[0] == UInt8(ascii: "P") && [2, 3, 5, 6].contains(Int(file[1]) - 48)
    }

    static func decode(_ file: [UInt8], name: String) throws(ArchiveError) -> PixelImage {
        var reader = NetpbmFile(file: file, name: name)
        return try reader.read()
    }

    private init(file: [UInt8], name: String) {
        self.file = file
        self.name = name
    }

    private mutating func read() throws(ArchiveError) -> PixelImage {
        let kind = Int(file[1]) - 48
        let width = try number(), height = try number(), most = try number()
        guard width > 0, height > 0, width < 1 << 24, height < 1 << 24, most > 0 else {
            throw ArchiveError(name, "the header says \(width) × \(height) pixels up to \(most)")
        }
        guard most < 256 else {
            throw ArchiveError(
                name, "the pixels go up to \(most); at most 255 are read", advice: "Convert it to 8 bits.")
        }
        let channels: ImageChannels = kind == 3 || kind == 6 ? .color : .gray
        let count = width * height * channels.rawValue
        var pixels: [UInt8] = []
        if kind > 3 {
            position += 1  // one white space
            guard file.count - position >= count else {
                throw ArchiveError(
                    name, "\(count) bytes of pixels are needed, and there are \(max(0, file.count - position))")
            }
            pixels = Array(file[position..<(position + count)])
        } else {
            for _ in 0..<count { pixels.append(UInt8(min(try number(), 255))) }
        }
        if most < 255 {
            // To the nearest of 0 … 255, halves to the even one: what Pillow computes.
            pixels = pixels.map {
                UInt8((Double(min(Int($0), most)) / Double(most) * 255).rounded(.toNearestOrEven))
            }
        }
        return PixelImage(width: width, height: height, channels: channels, pixels: pixels)
    }

    /// The next number in text, behind white space and comments.
    private mutating func number() throws(ArchiveError) -> Int {
        while position < file.count, !isDigit(file[position]) {
            if file[position] == UInt8(ascii: "#") {
                while position < file.count, file[position] != UInt8(ascii: "\n") { position += 1 }
            } else {
                guard file[position] <= UInt8(ascii: " ") else { break }
                position += 1
            }
        }
        let start = position
        var value = 0
        while position < file.count, isDigit(file[position]), value < 1 << 40 {
            value = value * 10 + Int(file[position]) - 48
            position += 1
        }
        guard position > start else { throw ArchiveError(name, "a number is missing at byte \(start)") }
        return value
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}
