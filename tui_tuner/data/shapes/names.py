"""Names of columns that tell their role, in the languages that people write headers in.

They only add to what position and content say: `recognise` must find question and answer without a single one of them.
"""

from __future__ import annotations

import re
import unicodedata


def plain(name: str) -> str:
    """A column's name in small letters, without accents, marks of vowels, or outer blanks."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    kept = "".join(char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", kept.replace("ø", "o").replace("ł", "l").replace("ı", "i"))


def _names(*lines: str) -> frozenset[str]:
    return frozenset(plain(word) for line in lines for word in line.split())


# Each name stands alone or is one word of a longer one (customer_question).
QUESTIONS = _names(
    "question questions query prompt instruction instructions input user human ask asked problem request utterance q",
    "frage fragen anfrage eingabe pregunta preguntas consulta entrada domanda domande richiesta pergunta perguntas",
    "questao demande requete vraag vragen fraga fragor sporsmal kysymys kysymykset pytanie pytania otazka otazky",
    "kerdes kerdesek intrebare intrebari soru sorular pertanyaan tanya soalan cauhoi ερωτηση вопрос вопросы запрос",
    "питання запит въпрос 问题 問題 提问 问 問 指令 輸入 输入 質問 질문 문제",
    "سؤال السؤال أسئلة שאלה प्रश्न सवाल প্রশ্ন คำถาม پرسش سوال",
)
ANSWERS = _names(
    "answer answers response responses reply output completion assistant target solution bot gpt result expected",
    "antwort antworten ausgabe losung respuesta respuestas salida risposta risposte resposta respostas reponse",
    "reponses sortie antwoord antwoorden svar vastaus vastaukset odpowiedz odpowiedzi odpoved odpovedi valasz valaszok",
    "raspuns raspunsuri cevap cevaplar yanit jawaban jawapan traloi απαντηση ответ ответы відповідь отговор",
    "回答 答案 答 輸出 输出 解答 답변 대답 정답 جواب الجواب إجابة اجابة תשובה उत्तर जवाब উত্তর คำตอบ پاسخ",
)
# Weaker: what a text is turned into. Only as pairs of one from each.
SOURCES = _names(
    "text document article dialogue dialog source sentence content body review code context passage",
    "message comment tweet post sms mail email",
)
TARGETS = _names("summary title highlights target label category sentiment intent class translation sql headline tags")
CONTEXTS = _names("context passage document article background kontext contexte contexto contesto input")
SYSTEMS = _names("system system_prompt systemprompt sys persona")
CHOSEN = (
    ("chosen", "rejected"),
    ("accepted", "rejected"),
    ("preferred", "dispreferred"),
    ("better", "worse"),
    ("winner", "loser"),
)
"""What the better and the worse answer of a pair are called."""


def words_of(name: str) -> set[str]:
    """The words of a column's name, and all of it run together: `Customer_Question`, `customerQuestion`, `câu hỏi`."""
    last = next((step for step in reversed(name.split(".")) if step and not step.isdigit()), name)
    if "." in name and plain(last) in ("text", "value", "content"):  # answers.text is about answers
        last = name
    spaced = re.sub(r"(?<=[a-z\d])(?=[A-Z])", " ", last)
    words = [word for word in re.split(r"[\W_]+", plain(spaced)) if word]
    return {*words, "".join(words), plain(name)}


def is_question(name: str) -> bool:
    """Whether a name says that the column holds what is asked."""
    return not QUESTIONS.isdisjoint(words_of(name))


def is_answer(name: str) -> bool:
    """Whether a name says that the column holds what is answered."""
    return not ANSWERS.isdisjoint(words_of(name))


def is_one_of(name: str, names: frozenset[str]) -> bool:
    """Whether one of these names is a word of the column's."""
    return not names.isdisjoint(words_of(name))
