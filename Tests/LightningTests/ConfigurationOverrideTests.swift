import Lightning
import Testing

@Suite struct ConfigurationOverrideTests {
    @Test func overridesReplaceTheFileAndTheLaterWins() throws {
        let decoded = try trainer("trainer:\n  maxEpochs: 1", "trainer.maxEpochs=2", "trainer.maxEpochs=3")
        #expect(decoded.maxEpochs == 3)
    }

    @Test func overridesMakeTheMappingsOnTheWay() throws {
        #expect(try trainer("", "trainer.checkpointing.mode=max").checkpointing.mode == .max)
        #expect(try trainer("trainer: null", "trainer.checkpointing.mode=max").checkpointing.mode == .max)
        #expect(
            errorText { _ = try trainer("trainer:\n  maxEpochs: 1", "trainer.maxEpochs.x=3") }
                == "command line: trainer.maxEpochs.x=3: trainer.maxEpochs: expected an integer, found a mapping")
    }

    @Test func valuesAreScalarsAndFlowCollections() throws {
        #expect(try trainer("", "trainer.tags={x: 1, y: 2}").tags == ["x": 1, "y": 2])
        #expect(try trainer("", "trainer.layers=[{size: 5}]").layers == [.init(size: 5)])
        #expect(try trainer("", "trainer.name=digits: a run").name == "digits: a run")
        #expect(try trainer("", "trainer.name=- x").name == "- x")
        #expect(try trainer("", "trainer.name='a = b'").name == "a = b")
        #expect(try trainer("", "trainer.name=a=b").name == "a=b")
        #expect(try trainer("trainer: {maxSteps: 4}", "trainer.maxSteps=").maxSteps == nil)
    }

    @Test func elementsOfLists() throws {
        let text = "trainer:\n  layers: [{size: 1}, {size: 2}]"
        #expect(try trainer(text, "trainer.layers.1.size=5").layers.map(\.size) == [1, 5])
        #expect(try trainer(text, "trainer.layers.2.size=5").layers.map(\.size) == [1, 2, 5])
        #expect(
            errorText { _ = try trainer(text, "trainer.layers.3.size=5") }
                == "command line: trainer.layers.3.size=5: trainer.layers: '3' is no index of a list of 2 elements")
        #expect(
            errorText { _ = try trainer(text, "trainer.layers.last=5") }
                == "command line: trainer.layers.last=5: trainer.layers: 'last' is no index of a list of 2 elements")
    }

    @Test func textsThatAreNoOverrides() {
        #expect(
            errorText { _ = try trainer("", "trainer.maxEpochs", "trainer..x=1", "=1", "trainer.name=[1") } == """
                command line: trainer.maxEpochs: an override has the form key.path=value
                command line: trainer..x=1: an override has the form key.path=value; a key is empty here
                command line: =1: an override has the form key.path=value; a key is empty here
                command line: trainer.name=[1: not valid YAML: did not find expected ',' or ']' (column 1)
                """)
    }
}
