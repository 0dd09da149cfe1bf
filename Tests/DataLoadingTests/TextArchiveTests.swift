import DataLoading
import Foundation
import HDF5
import Testing

struct TextArchiveTests {
    @Test func textBecomesTokens() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/text.h5"
            try TextArchive.convert("hallo wörld\n", to: path)
            let dataset = try HDF5File.open(at: path).dataset("tokens")
            #expect(dataset.elementType == .uint8)
            let vocabulary = Array(try dataset.attribute("vocabulary", as: String.self))
            #expect(String(vocabulary) == "\n adhlorwö")
            #expect(String(try dataset.read(as: Int.self).map { vocabulary[$0] }) == "hallo wörld\n")
        }
    }

    @Test func textFilesPlainAndCompressed() throws {
        try withTemporaryDirectory { directory in
            let plain = directory + "/text.txt"
            // A carriage return and a line feed are one `Character`, but two tokens.
            let text = "Über\r\nalles.\u{0} 🚀"
            try write(Array(text.utf8), to: plain)
            try execute("gzip", ["-k", plain])
            for name in [plain, plain + ".gz"] {
                let path = directory + "/text.h5"
                try TextArchive.convert(textFile: name, to: path)
                let dataset = try HDF5File.open(at: path).dataset("tokens")
                let vocabulary = Array(try dataset.attribute("vocabulary", as: String.self).unicodeScalars)
                #expect(dataset.count == text.unicodeScalars.count)
                #expect(try dataset.read(as: Int.self).map { vocabulary[$0] } == Array(text.unicodeScalars))
            }
            try TextArchive.convert("", to: directory + "/empty.h5")
            #expect(try HDF5File.open(at: directory + "/empty.h5").dataset("tokens").shape == [0])
        }
    }

    @Test func textsThatCannotBe() throws {
        try withTemporaryDirectory { directory in
            let wide = String(String.UnicodeScalarView((0x4E00..<0x4E00 + 257).compactMap(Unicode.Scalar.init)))
            expectArchiveError(mentioning: "257 different characters") {
                try TextArchive.convert(wide, to: directory + "/x.h5")
            }
            try write([0xFF, 0xFE, 0x41], to: directory + "/latin.txt")
            expectArchiveError(mentioning: "latin.txt", "UTF-8") {
                try TextArchive.convert(textFile: directory + "/latin.txt", to: directory + "/x.h5")
            }
            expectArchiveError(mentioning: "nowhere.txt") {
                try TextArchive.convert(textFile: directory + "/nowhere.txt", to: directory + "/x.h5")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["latin.txt"])
        }
    }
}

struct KingJamesBibleTests {
    @Test func versesAreJoined() {
        let printed = """

            1 Kings 1

              1 In the beginning God created the heaven
            and the earth.
              2 And the earth was without form, and void; and darkness was upon the face of
            the deep.
            And more.

            1 Kings 2

              10 Thus.
            """
        #expect(
            KingJamesBible.cleanedUp(printed) == """
                1 Kings 1

                In the beginning God created the heaven and the earth.
                And the earth was without form, and void; and darkness was upon the face of the deep. And more.

                1 Kings 2

                Thus.

                """)
    }

    @Test func aMissingProgramIsNamed() {
        expectArchiveError(mentioning: "surely-not-a-program", "not installed") {
            _ = try run("surely-not-a-program", [])
        }
        expectArchiveError(mentioning: "status 1") { _ = try run("false", []) }
    }

    static let isInstalled = FileManager.default.isExecutableFile(atPath: "/usr/bin/bible")

    @Test(.enabled(if: isInstalled, "bible-kjv and bible-kjv-text are not installed"))
    func theWholeText() throws {
        let text = try KingJamesBible.text()
        #expect(text.prefix(67) == "Genesis 1\n\nIn the beginning God created the heaven and the earth.\nA")
        #expect(text.suffix(59) == "\nThe grace of our Lord Jesus Christ be with you all. Amen.\n")
        let isASCII = text.unicodeScalars.allSatisfy { $0.isASCII }
        #expect(isASCII)
        // The Bible has 1,189 chapters and 31,102 verses.
        let lines = text.split(separator: "\n")
        let chapters = lines.filter { $0.wholeMatch(of: /([123] )?[A-Z][A-Za-z ]* [0-9]+/) != nil }
        #expect(chapters.count == 1189)
        #expect(lines.count - chapters.count == 31_102)
        try withTemporaryDirectory { directory in
            try TextArchive.convert(text, to: directory + "/bible.h5")
            let tokens = try HDF5File.open(at: directory + "/bible.h5").dataset("tokens")
            #expect(tokens.count == text.utf8.count)
            #expect(
                try tokens.attribute("vocabulary", as: String.self)
                    == "\n !'(),-.0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWYZabcdefghijklmnopqrstuvwxyz")
        }
    }
}
