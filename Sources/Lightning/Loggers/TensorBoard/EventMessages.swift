import Tensors

/// The messages in an event file: TensorBoard's `event.proto`, `summary.proto`, and the hparams plugin's `plugin_data.proto`,
/// as far as they are written here.
enum EventMessages {
    /// `Event`: a moment with summaries, or the version at the head of the file.
    static func event(seconds: Double, step: Int, _ build: (inout ProtobufMessage) -> Void) -> [UInt8] {
        ProtobufMessage {
            $0.add(1, double: seconds)
            if step != 0 { $0.add(2, integer: step) }
            build(&$0)
        }.bytes
    }

    /// The field `file_version` of an `Event`.
    static func version(_ event: inout ProtobufMessage) { event.add(3, string: "brain.Event:2") }

    /// The field `summary` of an `Event`, with `Summary.Value`s.
    static func summary(_ event: inout ProtobufMessage, _ values: [(inout ProtobufMessage) -> Void]) {
        event.add(5) { summary in for value in values { summary.add(1, value) } }
    }

    // MARK: - Values

    /// One number.
    static func scalar(_ tag: String, _ value: Double) -> (inout ProtobufMessage) -> Void {
        {
            $0.add(1, string: tag)
            $0.add(2, float: Float(value))
        }
    }

    /// A PNG picture: `Summary.Image`.
    static func image(_ tag: String, _ png: [UInt8], _ shape: Shape) -> (inout ProtobufMessage) -> Void {
        {
            $0.add(1, string: tag)
            $0.add(4) {
                $0.add(1, integer: shape[-2])
                $0.add(2, integer: shape[-1])
                $0.add(3, integer: shape.count == 3 ? shape[0] : 1)
                $0.add(4, bytes: png)
            }
        }
    }

    /// Counts of values in buckets: `HistogramProto`.
    static func histogram(_ tag: String, _ histogram: Histogram) -> (inout ProtobufMessage) -> Void {
        {
            $0.add(1, string: tag)
            $0.add(5) {
                $0.add(1, double: histogram.least)
                $0.add(2, double: histogram.largest)
                $0.add(3, double: histogram.count)
                $0.add(4, double: histogram.sum)
                $0.add(5, double: histogram.sumOfSquares)
                $0.add(6, doubles: histogram.limits)
                $0.add(7, doubles: histogram.counts)
            }
        }
    }

    /// A text in Markdown: a `TensorProto` of one string, for the plugin `text`.
    static func text(_ tag: String, _ text: String) -> (inout ProtobufMessage) -> Void {
        {
            $0.add(1, string: tag)
            $0.add(8) {
                $0.add(1, integer: 7)  // DT_STRING
                $0.add(2) { $0.add(2) { $0.add(1, integer: 1) } }
                $0.add(8, string: text)
            }
            metadata(&$0, plugin: "text", content: nil)
        }
    }

    private static func metadata(_ value: inout ProtobufMessage, plugin: String, content: [UInt8]?) {
        value.add(9) {
            $0.add(1) {
                $0.add(1, string: plugin)
                if let content { $0.add(2, bytes: content) }
            }
        }
    }

    // MARK: - Hyperparameters

    // Without an `Experiment` message TensorBoard takes the columns of its table from these and from the scalars, which
    // are not known when a run begins.

    /// The hyperparameters of the run: `SessionStartInfo`.
    static func sessionStart(_ list: HyperparameterList, seconds: Double) -> (inout ProtobufMessage) -> Void {
        plugin("_hparams_/session_start_info", field: 3) {
            for (key, value) in list.values {
                $0.add(1) {
                    $0.add(1, string: key)
                    $0.add(2) {
                        switch value {  // google.protobuf.Value
                        case .number(let number): $0.add(2, double: number)
                        case .text(let text): $0.add(3, string: text)
                        case .boolean(let boolean): $0.add(4, integer: boolean ? 1 : 0)
                        }
                    }
                }
            }
            $0.add(5, double: seconds)
        }
    }

    /// How the run ended: `SessionEndInfo`.
    static func sessionEnd(isSuccess: Bool, seconds: Double) -> (inout ProtobufMessage) -> Void {
        plugin("_hparams_/session_end_info", field: 4) {
            $0.add(1, integer: isSuccess ? 1 : 2)
            $0.add(2, double: seconds)
        }
    }

    private static func plugin(
        _ tag: String, field: Int, _ build: (inout ProtobufMessage) -> Void
    ) -> (inout ProtobufMessage) -> Void {
        let content = ProtobufMessage { $0.add(field, build) }.bytes
        return {
            $0.add(1, string: tag)
            metadata(&$0, plugin: "hparams", content: content)
        }
    }
}
