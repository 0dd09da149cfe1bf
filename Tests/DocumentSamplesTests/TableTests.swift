import Foundation
import Testing

/// The tables that say which test holds what: every test they name exists, and every row names one or says why not.
struct TableTests {
    /// The repository, as this file's path tells.
    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    /// Names in the document for which there are methods and hooks, in its order, with those that come twice.
    private static let names = """
        all_gather configure_callbacks configure_optimizers forward freeze log log_dict lr_schedulers manual_backward \
        optimizers print predict_step save_hyperparameters toggle_optimizer test_step to_onnx to_torchscript \
        training_step unfreeze untoggle_optimizer validation_step current_epoch device global_rank global_step hparams \
        logger loggers local_rank precision trainer prepare_data_per_node automatic_optimization example_input_array \
        backward on_before_backward on_after_backward on_before_zero_grad on_fit_start on_fit_end on_load_checkpoint \
        on_save_checkpoint load_from_checkpoint on_train_start on_train_end on_validation_start on_validation_end \
        on_test_batch_start on_test_batch_end on_test_epoch_start on_test_epoch_end on_test_start on_test_end \
        on_predict_batch_start on_predict_batch_end on_predict_epoch_start on_predict_epoch_end on_predict_start \
        on_predict_end on_train_batch_start on_train_batch_end on_train_epoch_start on_train_epoch_end \
        on_validation_batch_start on_validation_batch_end on_validation_epoch_start on_validation_epoch_end \
        configure_model on_validation_model_eval on_validation_model_train on_test_model_eval on_test_model_train \
        on_before_optimizer_step configure_gradient_clipping optimizer_step optimizer_zero_grad prepare_data setup \
        teardown train_dataloader val_dataloader test_dataloader predict_dataloader transfer_batch_to_device \
        on_before_batch_transfer on_after_batch_transfer
        """

    private func page(_ name: String) throws -> String {
        let path = "\(Self.repository)/Sources/Lightning/Lightning.docc/\(name).md"
        return try String(contentsOfFile: path, encoding: .utf8)
    }

    /// The rows of a page's tables, cell by cell, without the heads.
    private func rows(_ page: String) -> [[String]] {
        let lines = page.split(separator: "\n").filter { $0.hasPrefix("|") }
        return lines.enumerated().filter { index, line in
            let isRule = { (line: Substring) in line.hasPrefix("|---") }
            return !isRule(line) && !(index + 1 < lines.count && isRule(lines[index + 1]))
        }.map { _, line in
            line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false).map(trimmed)
        }
    }

    private func trimmed(_ text: Substring) -> String { text.trimmingCharacters(in: .whitespaces) }

    /// All tests in the sources, as `Suite/test`: each `@Test` belongs to the suite whose declaration is above it.
    private func tests() throws -> Set<String> {
        let directory = Self.repository + "/Tests"
        var found: Set<String> = []
        for path in try FileManager.default.subpathsOfDirectory(atPath: directory) where path.hasSuffix(".swift") {
            let source = try String(contentsOfFile: directory + "/" + path, encoding: .utf8)
            var (suite, awaitsName) = ("", false)
            for line in source.split(separator: "\n") {
                // Suites are declared at the margin; types inside them are not suites.
                if let match = line.firstMatch(of: /^(?:@Suite\S* )?(?:final )?(?:struct|class|extension) (\w+)/) {
                    suite = String(match.1)
                }
                if line.contains("@Test") { awaitsName = true }
                guard awaitsName, let match = line.firstMatch(of: /func (\w+)\(/) else { continue }
                found.insert("\(suite)/\(match.1)")
                awaitsName = false
            }
        }
        return found
    }

    @Test(arguments: [("TheDocument", 50), ("Pains", 50), ("ConfigurationErrors", 30)]) func everyTestThatIsNamedExists(
        page name: String, least: Int
    ) throws {
        let known = try tests(), rows = rows(try page(name))
        #expect(known.contains("TableTests/everyTestThatIsNamedExists") && rows.count >= least)
        for row in rows {
            let (said, cell) = (row[row.count - 2], row[row.count - 1])
            let named = cell.split(separator: ",").map { trimmed($0).trimmingCharacters(in: ["`"]) }
            #expect(named.allSatisfy(known.contains), "\(row[0]): \(named.filter { !known.contains($0) })")
            // Without a test it is not done.
            let isAdmitted = ["open", "partly", "not applicable"].contains { said.hasPrefix("**\($0)**") }
            #expect(!named.isEmpty || isAdmitted, "\(row)")
        }
    }

    @Test func everyNameOfTheDocumentHasARow() throws {
        let text = try page("TheDocument")
        let tables = try #require(text.firstRange(of: "## Methods").map { text[$0.lowerBound...] })
        let first = rows(String(tables)).map { $0[0].trimmingCharacters(in: ["`"]) }
        #expect(first == Self.names.split(separator: " ").map(String.init))
    }

    /// Each file of samples has a row, in the order of the files.
    @Test func everySampleHasARow() throws {
        let directory = Self.repository + "/Sources/DocumentSamples"
        let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter { !$0.hasPrefix("00-") }
            .sorted()
        let text = try page("TheDocument")
        // Methods, properties and the like stand in tables of their own.
        for file in files where !["14-", "15-", "16-", "17-"].contains(where: file.hasPrefix) {
            #expect(text.contains("`\(file)`"), "\(file)")
        }
        #expect(files.count == 18 && zip(files, 1...18).allSatisfy { $0.hasPrefix($1 < 10 ? "0\($1)-" : "\($1)-") })
    }

    @Test func everyPainHasAVerdict() throws {
        let rows = rows(try page("Pains"))
        #expect(rows.map { $0[0] } == (1...50).map(String.init))
        let verdicts = ["**done**", "**partly**", "**open**", "**not applicable**"]
        #expect(rows.allSatisfy { row in row.count == 4 && verdicts.contains(where: row[2].hasPrefix) })
    }
}
