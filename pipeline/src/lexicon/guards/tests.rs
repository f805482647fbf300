//! Tests of the guards: lists that each one must refuse and must let pass, and properties.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{Guard, GuardOptions, Guards};
use crate::lexicon::dictionary::{Dictionary, Relation};

const STOP_WORDS: &str = include_str!("../../../../dictionaries/stop_words.txt");
const ANTONYMS: &str = include_str!("../../../../dictionaries/antonyms.txt");
const USER_WORDS: &str = include_str!("../../../../dictionaries/user_words.txt");

/// Written for the tests.
const DICTIONARY: &str = "\
Aa01= 高兴 愉快 欢喜
Aa02= 计算机 电脑
Bb01# 苹果 香蕉 葡萄
Bb02# 高兴 愉快 悲哀
Cc01# 山羊 绵羊
Dd01= 时机 着急
";

fn guards(options: GuardOptions) -> Guards {
    let dictionary = Dictionary::parse(DICTIONARY.as_bytes(), Path::new("test")).unwrap();
    let dictionary = Some(Arc::new(dictionary));
    Guards::new(&options, &[STOP_WORDS], &[ANTONYMS], dictionary, USER_WORDS).unwrap()
}

static ALL: LazyLock<Guards> = LazyLock::new(|| {
    guards(GuardOptions {
        contains: true,
        ..GuardOptions::default()
    })
});

static EACH: LazyLock<Vec<Guards>> =
    LazyLock::new(|| Guard::ALL.map(only).into_iter().map(guards).collect());

fn refuses(guards: &Guards, one: &str, other: &str) -> Option<Guard> {
    let (first, second) = (guards.describe(one), guards.describe(other));
    let refused = guards.refuses(&first, &second);
    assert_eq!(guards.refuses(&second, &first), refused, "{one} {other}");
    refused
}

fn none() -> GuardOptions {
    GuardOptions {
        stop_words: false,
        numbers: false,
        scripts: false,
        antonyms: false,
        contains: false,
        part_of_speech: false,
        co_hyponyms: false,
    }
}

/// Options with one guard alone.
fn only(guard: Guard) -> GuardOptions {
    let mut options = none();
    *match guard {
        Guard::StopWord => &mut options.stop_words,
        Guard::Number => &mut options.numbers,
        Guard::Script => &mut options.scripts,
        Guard::Antonym => &mut options.antonyms,
        Guard::Contains => &mut options.contains,
        Guard::PartOfSpeech => &mut options.part_of_speech,
        Guard::CoHyponym => &mut options.co_hyponyms,
    } = true;
    options
}

/// Pairs that the guard refuses and pairs that it lets pass, as `word/word`.
fn check(guard: Guard, refused: &str, passed: &str) {
    let guards = guards(only(guard));
    let mut wrong = Vec::new();
    for (pairs, expected) in [(refused, Some(guard)), (passed, None)] {
        for pair in pairs.split_whitespace() {
            let (one, other) = pair.split_once('|').unwrap();
            if refuses(&guards, one, other) != expected {
                wrong.push(pair);
            }
        }
    }
    assert_eq!(wrong, Vec::<&str>::new());
}

#[test]
fn stop_words() {
    check(
        Guard::StopWord,
        "的|地 和|跟 因为|由于 我们|咱们 他|她 这个|那个 不|没 没有|有 了|过 很|非常 the|a The|人 ＴＨＥ|人 這個|人 </s>|人 [UNK]|人 \
         &nbsp;|人 ，|。 ……|—— !|？ 、|和 ★|☆ http|网址 nbsp|空格 但是|可是 什么|何 吗|呢 don't|do",
        "非常|十分 特别|格外 渐渐|逐渐 高兴|愉快 立即|马上 也许|可能性 忽然|突然 老师|教师 常常|经常 开始|着手 a座|楼 地面|地上 \
         人|人类 好|佳 gpu|显卡 <标题>|题目 [笑]|笑 1|2",
    );
}

#[test]
fn numbers() {
    check(
        Guard::Number,
        "一九八四年|一九八五年 三个|四个 星期三|星期四 3月5日|三月五日 第三|第四 ５０|50 50%|一半儿 上午十点|下午 两個|两个 週一|周二 \
         iphone6|iphone7 一中|二中 一流|二流 第二产业|第三产业 百分之五|少量 2018年|去年 甲午|乙未 monday|today 10:30|钟点 3.14|圆周率",
        "一起|一同 万一|如果 三心二意|犹豫不决 一般|普通 千万|务必 统一|一致 十分|非常 百姓|人民 第三者|小三 半天|好久 一直|始终 \
         iphone6|苹果手机 三轮车|自行车 四周|周围 一模一样|如出一辙 百货|商品 十分|万分 三番五次|三番两次",
    );
}

#[test]
fn scripts() {
    check(
        Guard::Script,
        "計算機|计算机 ＧＰＵ|gpu GPU|Gpu e-mail|Email e-mail|ｅmail 臺灣|台湾 wi-fi|WiFi 後面|后面 高兴|高兴 卡拉OK|卡拉ok \
         約翰·史密斯|约翰史密斯 頭髮|头发",
        "计算机|电脑 gpu|cpu 台湾|台北 高兴|愉快 ，|。 ！|？ email|mail 后面|前面",
    );
    assert_eq!(refuses(&ALL, "e mail", "email"), Some(Guard::Script));
    assert_eq!(
        refuses(&ALL, "New\u{a0}York", "newyork"),
        Some(Guard::Script)
    );
}

#[test]
fn antonyms() {
    check(
        Guard::Antonym,
        "大|小 好|坏 高兴|难过 成功|失败 增加|减少 上升|下降 美丽|丑陋 胜利|失败 勝利|失敗 大型|小型 高温|低温 上午|下午 东部|西部 男孩|女孩 \
         不好|好 不高兴|高兴 没意思|有意思 无用|有用 没用|有用 无理|有理 非法|法 非正式|正式 未婚|已婚 进口|出口 收入|支出 买家|卖家 \
         优点|缺点 加快|减慢 打开|关闭 真实|虚假 昂贵|便宜 昂贵|低廉 增值|贬值 供不应求|供过于求 老师|学生 父亲|母亲 早上|晚上 昨天|明天",
        "高兴|愉快 大|巨大 大型|巨型 大学|小说 增加|增长 失败|失利 美丽|漂亮 不错|很好 无用|没用 不好|不佳 开心|快乐 上升|上涨 成功|胜利 \
         老师|教师 非常|十分 未来|将来 无聊|乏味 别墅|洋房 开会|会议 大概|大约 左右|上下 高手|能手",
    );
}

#[test]
fn contains() {
    check(
        Guard::Contains,
        "高兴|很高兴 学校|学校里 学习|学 中国|中国人 經濟|经济学 gpu|GPU卡 美|美丽 手机|手机号",
        "高兴|高大 学校|校园 学习|研习 人民|民人 ，|高兴 ，|。 上海|海上 保护|维护",
    );
}

#[test]
fn part_of_speech() {
    check(
        Guard::PartOfSpeech,
        "学校|奔跑 时机|急于 北京|学校 立刻|跑 昨天|学校 刀子|捅 音质|动听",
        "学校|教室 跑步|奔跑 美丽|漂亮 省悟|醒悟 高兴|喜欢 迅速|立刻 北京|上海 研究|学问 研究|探讨 不可思议|神奇 不可思议|奇迹 没有的词|学校 没有的词|跑 \
         gpu|跑 學校|教室 乌云|阴霾 爆炸|炸弹 共享单车|自行车 ，|跑",
    );
}

#[test]
fn co_hyponyms() {
    check(
        Guard::CoHyponym,
        "苹果|香蕉 山羊|绵羊 蘋果|香蕉 愉快|悲哀 高兴|悲哀",
        "高兴|愉快 计算机|电脑 苹果|山羊 苹果|电脑 苹果|没有 雪梨|香蕉 苹果|苹果",
    );
    let relation = |one: &str, other: &str| ALL.relation(&ALL.describe(one), &ALL.describe(other));
    assert_eq!(relation("計算機", "電腦"), (Relation::Synonym, true));
    assert_eq!(relation("苹果", "电脑"), (Relation::None, true));
    assert_eq!(relation("苹果", "雪梨"), (Relation::None, false));
}

#[test]
fn the_first_guard_is_told_and_a_switch_is_a_switch() {
    let cases = [
        ("的", "三个", Some(Guard::StopWord)),
        ("三个", "三個", Some(Guard::Number)),
        ("計算機", "计算机", Some(Guard::Script)),
        ("不高兴", "高兴", Some(Guard::Antonym)),
        ("很高兴", "高兴", Some(Guard::Contains)),
        ("学校", "奔跑", Some(Guard::PartOfSpeech)),
        ("苹果", "葡萄", Some(Guard::CoHyponym)),
        ("高兴", "愉快", None),
        ("医生", "大夫", None),
        ("电脑", "计算机", None),
        ("马上", "立即", None),
        ("研究", "探讨", None),
    ];
    let off = guards(none());
    for (one, other, expected) in cases {
        assert_eq!(refuses(&ALL, one, other), expected, "{one} {other}");
        assert_eq!(refuses(&off, one, other), None, "{one} {other}");
    }
}

#[test]
fn names_and_options_in_toml_and_json() {
    for guard in Guard::ALL {
        let json = serde_json::to_string(&guard).unwrap();
        assert_eq!(json, format!("\"{}\"", guard.name()));
        assert!(guard.explain().len() > 20);
    }
    assert_eq!(
        toml::from_str::<GuardOptions>("").unwrap(),
        GuardOptions::default()
    );
    let options: GuardOptions = toml::from_str("scripts = false").unwrap();
    assert!(!options.scripts && options.numbers);
    let error = toml::from_str::<GuardOptions>("contain = false").unwrap_err();
    assert!(error.to_string().contains("co_hyponyms"), "{error}");
}

#[test]
fn the_lists_are_as_they_say() {
    let entries = |list: &'static str| {
        list.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    };
    let han = |word: &&str| word.contains(crate::text::characters::is_han);
    assert!(entries(STOP_WORDS).filter(han).count() >= 400);
    assert!(entries(ANTONYMS).count() >= 400);
    for list in [STOP_WORDS, ANTONYMS] {
        let mut all: Vec<_> = entries(list).collect();
        assert!(all.iter().all(|line| line.trim() == *line));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "an entry stands twice");
    }
    for word in entries(STOP_WORDS) {
        assert!(ALL.describe(word).stop_word, "{word}");
    }
    for line in entries(ANTONYMS) {
        let (one, other) = line.split_once(' ').unwrap();
        let guards = &ALL.opposites;
        assert!(guards.are(one, other) && guards.are(other, one), "{line}");
    }
}

#[test]
fn a_bad_list_is_named() {
    let new = |antonyms: &str, user_words: &str| {
        let error = Guards::new(&GuardOptions::default(), &[], &[antonyms], None, user_words);
        error.err().unwrap_or_default()
    };
    assert!(new("大", "").contains("antonyms: line 1: `大`"));
    assert!(new("", "词 many n").starts_with("user words: "));
}

proptest! {
    #[test]
    fn refusing_is_symmetric_and_pure(one in "([不没无有大小三第年高兴学校計算机a-c1１Ａ的，<>/ -]|\\PC){0,6}", other in "([不没无有大小三第年高兴学校計算机a-c1１Ａ的，<>/ -]|\\PC){0,6}") {
        let (first, second) = (ALL.describe(&one), ALL.describe(&other));
        prop_assert_eq!(&first, &ALL.describe(&one));
        prop_assert_eq!(ALL.refuses(&first, &second), ALL.refuses(&second, &first));
        prop_assert!(ALL.refuses(&first, &first).is_some(), "no word is its own synonym");
        for guards in EACH.iter() {
            let (first, second) = (guards.describe(&one), guards.describe(&other));
            prop_assert_eq!(guards.refuses(&first, &second), guards.refuses(&second, &first));
        }
    }
}
