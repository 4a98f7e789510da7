"""A method from outside that asks for neighbours."""

from __future__ import annotations

from pathlib import Path

from plugin_requests import HEAD, obey

GRAPH = """\
@METHODS.register("bad")
class Graph(Base):
    neighbours = 3

    def forward(self, batch):
        here, there = batch.edges
        heard = torch.zeros_like(batch.features).index_add(0, there, batch.features[here])
        return Output({"leaf": self.classifier(segment_mean(heard, batch.offsets))})
"""


def test_a_graph_has_its_edges_in_training_counting_and_heatmaps(capfd):
    Path("graph.py").write_text(HEAD + GRAPH)
    words = "run -m bad -d digit-bags --fold 0 --set epochs=1 --set batch_size=64 --device cpu"
    assert obey(capfd, *words.split(), "--plugin", "graph.py")[0] == 0
    (run,) = Path("runs/digit-bags/bad").iterdir()
    slide = (run / "predictions.csv").read_text().splitlines()[1].split(",")[1]
    for by in ("gradient", "occlusion"):
        status, _, told = obey(
            capfd, "heatmap", "--run", run.name, "--slide", slide, "--relevance", by
        )
        assert status == 0, told
