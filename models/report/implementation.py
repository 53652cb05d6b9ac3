"""Part 10: is what is served the model that was validated, and by what can anybody check it?"""

from __future__ import annotations

from models.artefact import GOLDEN_ROWS
from models.report.circumstances import Circumstances
from models.report.words import both, same
from models.report_blocks import Block, Cell, Paragraph, Table
from models.training_record import TrainingRecord
from models.validation.finding import VERDICT_WORDS

CHECKS = both(
    f"模型包含 {GOLDEN_ROWS} 条人造黄金样本及应得分数。每次签署和每次评分前，先在受限的子进程中试装载：核对 sha256、结构检查、"
    "黄金样本分数逐位一致，任何一项不符即拒绝；签署所依据的证据若被改动，评分同样拒绝。",
    f"The bundle holds {GOLDEN_ROWS} made-up golden rows with the scores that they must get. Before each signature and each "
    "scoring it is loaded in a confined child process first: sha256, structure and golden scores must agree to the bit, or it is "
    "refused; so is scoring where the evidence under a signature was changed.",
)

AGAIN = both(
    "复现：在同一代码与依赖版本下，用相同表版本再次运行该训练月，得到逐字节相同的模型包（sha256 与上表一致）。",
    "To reproduce: the same code and libraries on the same table versions give the same bundle to the byte for this month (its "
    "sha256 stands above).",
)


def implementation_blocks(record: TrainingRecord, circumstances: Circumstances) -> tuple[Block, ...]:
    """Parity of validated and served scores, hashes, seed, software."""
    definition = record.definition
    rows: list[tuple[Cell, ...]] = [
        (both("模型包 sha256", "bundle sha256"), circumstances.bundle_sha256 or None)
    ]
    rows += [
        (both("定义 sha256", "definition sha256"), definition.sha256),
        (both("特征集 sha256", "feature set sha256"), record.inputs.feature_set_sha256 or None),
        (both("随机种子", "seed"), same(str(definition.seed))),
        (both("黄金样本", "golden rows"), GOLDEN_ROWS),
    ]
    hashes = Table(both("可追溯", "Provenance"), (both("项目", "item"), both("值", "value")), tuple(rows))
    software = Table(
        both("软件版本", "Software"),
        (both("库", "library"), both("版本", "version")),
        tuple((name, same(version)) for name, version in sorted(record.libraries.items())),
    )
    return (*_parity(record), Paragraph(CHECKS), hashes, software, Paragraph(AGAIN))


def _parity(record: TrainingRecord) -> tuple[Block, ...]:
    found = [each for each in record.findings if each.name == "leakage.served_parity"]
    if not found:
        return (
            Paragraph(
                both(
                    "没有模型未见过的样本可比较“验证分数”与“上线分数”（交叉验证的模型已见过全部行）；一致性由黄金样本保证。",
                    "There are no unseen rows on which validated and served scores could be compared (after cross-validation the "
                    "kept model has seen every row); golden rows stand for parity.",
                )
            ),
        )
    table = Table(
        both("验证分数与上线分数", "Validated against served score"),
        (
            both("检验", "check"),
            both("最大差", "largest difference"),
            both("行数", "rows"),
            both("判定", "verdict"),
        ),
        tuple((each.statistic, each.value, each.n, VERDICT_WORDS[each.verdict]) for each in found),
        ("", "", ",d", ""),
    )
    return (table,)
