"""Names, addresses, e-mail addresses and number plates: what identifies without a check digit.

A single cell of two or three Chinese characters is a name or a word; a column of them, nearly all different and beginning with
a surname, is names. In running text a name shows by the word before it (当事人, 法定代表人) or after it (先生, 女士).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.identity.clues import ADDRESS, EMAIL, ENOUGH, NAME, PLATE, Clue

#: The commonest surnames and double ones, without those that are everyday words by themselves
#: in columns of codes (高 high, 方 square, 白 white, 万, 石, 金, 钱, 水, 平, 时, 常, 安, 文, 成, 古, 年, 和, 全, 商, 应, 单, 管).
_SINGLE = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范廖"
    "贾夏韦付邹熊孟秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵钱严覃武戴莫孔向汤温康施牛樊葛邢路齐梅辛翟庄聂詹岳柯裴凌霍祝"
    "耿俞焦柴蓝关欧吉柳包涂阮卓洪左翁申冉苗饶牟岑蒲符尤窦鲁倪华冼甘骆盛祁谷宫房车项童滕鄢阳毕鞠司闵麦阎舒卞靳巩"
    "邬褚娄殷喻虞桂池缪卫屈鲍隋匡奚冀晏瞿佟沙祖郎桑庞查仇艾简戚苟甄"
)
_DOUBLE = (
    "欧阳|上官|司马|诸葛|皇甫|尉迟|公孙|慕容|令狐|司徒|夏侯|东方|端木|百里|呼延|独孤|南宫|西门|长孙|宇文"
)
_GIVEN = "[\\p{Han}]{1,2}"
_WHOLE_NAME = f"^(?:[{_SINGLE}]{_GIVEN}|(?:{_DOUBLE}){_GIVEN}|\\p{{Han}}{{2,7}}·\\p{{Han}}{{2,7}})$"
_CUES = (
    "姓名|当事人|法定代表人|法人代表|负责人|联系人|户主|被处罚人|被罚款人|申请人|经办人|业主|房主|本人|纳税人|缴费人|"
    "承办人|举报人|法人|股东|监护人|收件人|户名|持卡人"
)
#: Surnames that also begin what follows such a word: 纳税人于十月, 负责人向单位, 本人余额.
_CLEAR = "".join(sorted(set(_SINGLE) - set("于向余何关包左路车房项申汤常")))
_NAME_ENDS = "(?:$|[^\\p{Han}]|[因于在的与和未自已系将拒逾等同补申之身电欠涉擅违])"
_CUED_NAME = (
    f"(?:{_CUES})(?:[为是系叫][:：\\s]?|[:：\\s]{{1,2}})(?:[{_SINGLE}高白石方万金]|{_DOUBLE})\\p{{Han}}{{1,2}}{_NAME_ENDS}"
    f"|(?:{_CUES})(?:[{_CLEAR}]|{_DOUBLE})\\p{{Han}}{{1,2}}{_NAME_ENDS}"
)
_BEFORE_A_NAME = "(?:^|[^\\p{Han}]|因|经|对|由|向|与|和|给|请|联系)"
_TITLED_NAME = f"{_BEFORE_A_NAME}(?:[{_SINGLE}]|{_DOUBLE})\\p{{Han}}{{0,2}}(?:先生|女士|小姐|同志)"
_NOT_NAMES = "(?:公司|企业|单位|机关|街道|社区|银行|学校|医院|机构|部门)$|[路区县市省镇村费税款类级型业局所院厅户常效废]$"

#: Lines, pipes, channels and tracks (线路, 管道, 渠道, 轨道) have numbers too.
_STREET = "(?:[^线管渠电铁频通回网]路|街道?|[^管渠频通轨]道|巷|弄|胡同)\\s?[0-9〇零一二三四五六七八九十百]{1,5}\\s?(?:号|弄)"
_ROOM = "[0-9一二三四五六七八九十A-Za-z]{1,4}\\s?(?:号楼|栋|幢|座|单元)[^，。;；]{0,8}?[0-9A-Za-z]{1,5}\\s?(?:室|房|号|单元|户)"
_VILLAGE = "[村屯寨庄社区][^，。;；]{0,6}?[0-9一二三四五六七八九十]{1,3}\\s?[组队][^织]?"
_PLACE = (
    "(?:省|自治区|市|州|盟)[^，。;；]{1,12}?(?:区|县|市|旗)[^，。;；]{1,16}?"
    "(?:镇|乡|街道|路|街|村|道|巷|小区|大厦|园区|花园)"
)

_EMAIL = "[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*\\.[A-Za-z]{2,}"
_PLATE = (
    "(?:^|[^\\p{Han}])?[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·.\\s-]?"
    "(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳]|[DF][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[DF])(?:$|[^A-Za-z0-9])"
)


def word_clues(texts: pa.Array, rows: int) -> list[Clue]:
    """Clues in texts with Chinese characters; `rows` is how many rows the column has."""
    clues = [*_names(texts, rows), *_addresses(texts)]
    plates = _where(texts, _PLATE)
    return [*clues, Clue(PLATE, plates, len(plates))]


def email_clue(texts: pa.Array) -> Clue:
    """The clue of e-mail addresses; there is nothing else of that form."""
    found = _where(texts, _EMAIL)
    return Clue(EMAIL, found, len(found))


def _names(texts: pa.Array, rows: int) -> list[Clue]:
    lengths = pc.utf8_length(texts)
    short = pc.and_(pc.greater_equal(lengths, 2), pc.less_equal(lengths, 15))
    whole = pc.and_(short, pc.match_substring_regex(texts, _WHOLE_NAME))
    whole = pc.and_(whole, pc.invert(pc.match_substring_regex(texts, _NOT_NAMES)))
    hits = pc.indices_nonzero(whole).to_numpy().astype(np.int64)
    among = int(pc.sum(short).as_py() or 0)
    # Words of a code list come again and again; names hardly do. Half of a column of words begins with no surname.
    least = max(ENOUGH, min(rows // 50, 200))
    column = Clue(NAME, hits, among, (), least, 0.6)
    said = _where(texts, f"{_CUED_NAME}|{_TITLED_NAME}")
    return [column, Clue(NAME, said, len(said))]


def _addresses(texts: pa.Array) -> list[Clue]:
    doors = np.zeros(len(texts), dtype=bool)
    parts = np.zeros(len(texts), dtype=np.int8)
    for form in (_STREET, _ROOM, _VILLAGE, _PLACE):
        found = _where(texts, form)
        parts[found] += 1
        doors[found] |= form in (_STREET, _ROOM)
    # A village's group or a town is an address only with more, unless the column is full of them.
    whole, some = np.flatnonzero(doors | (parts >= 2)), np.flatnonzero(parts)
    return [Clue(ADDRESS, whole, len(whole)), Clue(ADDRESS, some, len(texts), (), ENOUGH, 0.2)]


def _where(texts: pa.Array, form: str) -> np.ndarray:
    return pc.indices_nonzero(pc.match_substring_regex(texts, form)).to_numpy().astype(np.int64)
