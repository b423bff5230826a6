"""Words of all scripts: cut and joined again."""

# ruff: noqa: RUF001 (letters of other scripts look like those of this one)

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_runtime import VocabularyError
from s2s_runtime.vocabulary.vocabulary import Vocabulary
from s2s_runtime.vocabulary.words import WORD_PATTERN

SENTENCES = {
    "English": "Don't go yet, it's 3.14 (or so).",
    "Chinese": "你好，世界！今天天气很好。",
    "Hindi": "नमस्ते, आप कैसे हैं? मैं ठीक हूँ।",
    "Spanish": "¿Cómo estás? ¡Muy bien, gracias!",
    "Arabic": "مَرْحَبًا، كَيْفَ حَالُكَ؟ الثمن 1,250.",
    "French": "L'été arrive aujourd'hui, à 10:30.",
    "Bengali": "আপনি কেমন আছেন? আমি ভালো আছি।",
    "Portuguese": "Não sei, mas amanhã eu pergunto.",
    "Russian": "Привет, как дела? Всё хорошо!",
    "Urdu": "آپ کیسے ہیں؟ میں ٹھیک ہوں۔",
    "Indonesian": "Anak-anak bermain di taman.",
    "German": "Das Mädchen sagt: „Guten Tag“.",
    "Japanese": "こんにちは、お元気ですか？「はい」と言いました。",
    "Swahili": "Habari ya asubuhi, rafiki yangu.",
    "Marathi": "तुम्ही कसे आहात? मी बरा आहे.",
    "Telugu": "మీరు ఎలా ఉన్నారు? నేను బాగున్నాను.",
    "Turkish": "İstanbul'da hava çok güzel, değil mi?",
    "Tamil": "நீங்கள் எப்படி இருக்கிறீர்கள்? நன்றி!",
    "Vietnamese": "Bạn có khỏe không? Tôi khỏe.",
    "Korean": "안녕하세요? 오늘은 날씨가 좋네요.",
    "Italian": "Com'è andata? L'amico è già qui.",
    "Thai": "สวัสดีครับ วันนี้อากาศดีมาก",
    "Gujarati": "તમે કેમ છો? હું મજામાં છું.",
    "Persian": "من به خانه می‌روم، تو کجایی؟",
    "Polish": "Cześć, jak się masz? Dobrze!",
    "Kannada": "ನೀವು ಹೇಗಿದ್ದೀರಿ? ನಾನು ಚೆನ್ನಾಗಿದ್ದೇನೆ.",
    "Malayalam": "നിങ്ങൾക്ക് സുഖമാണോ? എനിക്ക് സുഖമാണ്.",
    "Odia": "ଆପଣ କେମିତି ଅଛନ୍ତି? ମୁଁ ଭଲ ଅଛି।",
    "Burmese": "မင်္ဂလာပါ၊ နေကောင်းလား။",
    "Ukrainian": "Добрий день, як п'ятниця?",
    "Punjabi": "ਤੁਸੀਂ ਕਿਵੇਂ ਹੋ? ਮੈਂ ਠੀਕ ਹਾਂ।",
    "Romanian": "Bună ziua, ce mai faci? Într-adevăr!",
    "Dutch": "Goedemorgen, hoe gaat het met je foto's?",
    "Hausa": "Ina kwana? Lafiya lau, na gode.",
    "Yoruba": "Ẹ kú àárọ̀, ṣé dáadáa ni?",
    "Igbo": "Kedụ ka ị mere? Ọ dị mma.",
    "Amharic": "ሰላም፣ እንዴት ነህ? ደህና ነኝ።",
    "Nepali": "तपाईंलाई कस्तो छ? मलाई सन्चै छ।",
    "Sinhala": "ඔබට කොහොමද? මම හොඳින් ඉන්නවා.",
    "Khmer": "សួស្តី អ្នកសុខសប្បាយទេ?",
    "Lao": "ສະບາຍດີ ເຈົ້າເປັນແນວໃດ?",
    "Greek": "Καλημέρα, τι κάνεις; Όλα καλά.",
    "Hebrew": 'שָׁלוֹם, מה שלומך? ד"ר כהן בבית.'.replace('"', "\u05f4"),
    "Hungarian": "Jó napot, hogy van? Köszönöm, jól.",
    "Czech": "Dobrý den, jak se máte? Děkuji!",
    "Swedish": "God morgon, hur mår du? Bra, tack.",
    "Armenian": "Բարև, ինչպե՞ս ես։ Լավ եմ։",
    "Georgian": "გამარჯობა, როგორ ხარ? კარგად.",
    "Catalan": "Bon dia, col·lega, què tal? L'home és aquí.",
    "Tagalog": "Kumusta ka? Mabuti naman, salamat.",
    "Tibetan": "བཀྲ་ཤིས་བདེ་ལེགས",
    "Kazakh": "Сәлем, қалың қалай? Жақсы!",
}


def words(rule: int = 2, **fields: object) -> Vocabulary:
    """A vocabulary of words, by a rule."""
    return Vocabulary("word", ("<unk>",), unknown="<unk>", word_rule=rule, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("language", SENTENCES)
def test_words_of_a_language_are_cut_and_joined(language: str, form: str) -> None:
    """What is joined is what was cut, and no word begins with a combining mark, composed or not."""
    text = unicodedata.normalize(form, SENTENCES[language])
    cutter = words()
    units = cutter.split(text)
    assert cutter.join(units) == text
    assert not [unit for unit in units if unicodedata.category(unit[0]).startswith("M")]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("3.14", ["3.14"]),
        ("It is 3.14.", ["It", "is", "3.14", "."]),
        ("1,250,000 at 10:30", ["1,250,000", "at", "10:30"]),
        ("1, 2", ["1", ",", "2"]),
        ("end.Begin", ["end", ".", "Begin"]),
        ("Don't well-known", ["Don't", "well-known"]),
        ('He said "no" twice.', ["He", "said", '"', "no", '"', "twice", "."]),
        ("नमस्ते।", ["नमस्ते", "।"]),
        ("می‌روم", ["می‌روم"]),
        ("", []),
        ("  ", []),
    ],
)
def test_where_words_are_cut(text: str, units: list[str]) -> None:
    """Numbers and marked letters stay whole; punctuation beside them doesn't stick."""
    assert words().split(text) == units


@given(st.text(max_size=30))
def test_nothing_is_lost(text: str) -> None:
    """The words of any text are its characters, in order, without white space; cutting what was joined gives them."""
    for rule in (1, 2):
        units = words(rule).split(text)
        assert all(units)
        assert [c for unit in units for c in unit] == [c for c in text if not c.isspace() or any(c in u for u in units)]


@given(st.text(alphabet="ab'-. 3,é", max_size=20))
def test_old_vocabularies_cut_as_they_did(text: str) -> None:
    """Models go on with what they were trained with: files that name no rule have the first."""
    old = Vocabulary.from_dict({"unit": "word", "symbols": ["<unk>"], "unknown": "<unk>"})
    assert old.word_rule == 1
    assert "word_rule" not in old.to_dict()
    assert old.split(text) == WORD_PATTERN.findall(text)


def test_the_rule_stands_in_the_file() -> None:
    """It comes back; others are refused."""
    made = words()
    assert Vocabulary.from_dict(made.to_dict()) == made
    assert made.to_dict()["word_rule"] == 2
    for wrong in (0, 3, -1):
        with pytest.raises(VocabularyError, match="word_rule: expected 1 or 2"):
            words(wrong)
    with pytest.raises(VocabularyError, match="word_rule: only unit 'word' has one"):
        Vocabulary("char", ("a",), word_rule=2)
    with pytest.raises(VocabularyError, match="word_rule: expected an integer"):
        Vocabulary.from_dict({**made.to_dict(), "word_rule": "2"})
