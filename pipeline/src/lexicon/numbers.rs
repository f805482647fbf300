//! Which words are numbers, quantities, ordinals or dates: 一九八四, 50, 三个, 第三, 3月5日, 星期三, 上午十点.
//!
//! Words that hold numerals but count nothing (一起, 万一, 三心二意) are no numbers. A numeral alone before a
//! unit is one when the pair means what its parts mean: 一个, not 一面; 百年, not 百度; 三天, not 三角.

use std::collections::HashSet;

/// Words of numerals and units that mean something else.
const ORDINARY: &str = "\
    万一 千万 万万 一一 万千 千千万万 三三两两 两两 三七 二百五 亿万 陆 伍 拾 拾零 三节 千百 零件 零头 一半天 半天 半日 半场 半点 半个 \
    三角 四角 五角 六角 八角 两样 两头 四季 四周 四时 五代 五行 三元 二元 三级 三分 两口 三排 三门 八成 七成 九成 四声 六根 \
    八字 八股 九段 三重 九重 九天 周天 八路 二来 三来 四伏 三包 三餐 四座 千斤 千户 三伏 二伏 中伏 三伏天 十成 三六九等 一五一十 \
    十分 十二分 万分 十足 万岁 百岁 千岁 十万八千里 半斤八两 五一节 半夜三更 三更半夜 三更 五更 \
    三天两头 一年四季 一年到头 一日三餐 三年五载 一个一个 一步一步 一次一次 一天一天 一年一年 三三五五 三步两步 \
    三句两句 三言两句 三口两口 三个两个 一个半个 三点水 两点水 百家 第三者 第一线 第一流 第一手 第一时间 第一位 \
    千克 千米 千瓦 千瓦时 千瓦小时 千卡 千赫 兆赫 兆瓦";

/// Units before which any numeral counts.
const UNITS: &str = "\
    世纪 年代 周年 周岁 年度 年级 年 季度 季 个月 个多月 个多小时 个多星期 月份 月 旬 个星期 星期 礼拜 周 日 号 天 夜 晚 个小时 小时 \
    个钟头 钟头 点钟 点 时 刻钟 刻 分钟 分 秒钟 秒 毫秒 微秒 岁 载 \
    分之 成 倍 折 度 摄氏度 个百分点 百分点 分贝 级 等奖 星级 \
    块钱 毛钱 分钱 元钱 美元 欧元 日元 英镑 港元 港币 人民币 元 角 块 毛 \
    公里 千米 米 厘米 毫米 微米 纳米 分米 英里 英尺 英寸 海里 里 尺 寸 丈 公顷 亩 平方公里 平方千米 平方米 \
    平方 平米 立方米 立方 公斤 千克 克 毫克 微克 吨 斤 磅 盎司 升 毫升 加仑 瓦 千瓦 兆瓦 千瓦时 伏 安 赫兹 卡 千卡 \
    字节 兆 像素 \
    个 个人 位 名 人 人次 只 条 张 本 件 台 辆 架 艘 座 栋 幢 间 家 户 所 楼 层 场 次 回 遍 趟 届 期 批 组 队 班 排 \
    项 种 类 款 套 副 双 对 份 片 颗 粒 滴 支 枝 根 把 顶 头 匹 口 棵 株 朵 束 堆 群 伙 箱 包 袋 瓶 杯 碗 盘 盒 桶 篇 \
    章 章节 节 段 句 句话 首 部 册 卷 幅 页 封 集 道 题 门 步 票 字 个字 拳 枪 笔 盏 枚 尊 桩 宗 席 桌 餐 顿 站 版 档 \
    号线 环 室 厅 胎 孩 连冠 强 单元 号楼 品脱 英亩 股";

/// Units before which 一, 半 and 几 count; before others they make ordinary words (一面, 半路, 几乎).
const UNITS_AFTER_ONE: &str = "\
    世纪 周年 周岁 年级 年 季度 个月 个多月 个多小时 个多星期 月份 月 个星期 星期 礼拜 周 日 号 天 个小时 小时 个钟头 钟头 点钟 分钟 秒钟 秒 岁 \
    分之 倍 成 等奖 星级 块钱 毛钱 分钱 美元 欧元 日元 英镑 元 公里 千米 米 厘米 毫米 英里 英尺 英寸 公顷 亩 平方米 平方公里 \
    立方米 公斤 千克 克 毫克 吨 斤 升 毫升 个 个人 位 名 人次 只 条 张 本 件 台 辆 架 艘 座 栋 幢 间 户 所 楼 层 场 次 \
    遍 趟 届 组 种 款 套 副 双 份 颗 粒 滴 支 枝 根 匹 棵 株 朵 束 箱 袋 瓶 杯 碗 盘 盒 桶 篇 章 段 句 句话 首 部 册 \
    卷 幅 页 封 集 题 枚 尊 号线 号楼 单元";

/// Units before which 百, 千, 万, 亿 and 数 count.
const UNITS_AFTER_HUNDRED: &str = "\
    分之 世纪 年 个月 月 周 日 天 个小时 小时 分钟 次 个 名 人 人次 件 种 元 块 块钱 美元 欧元 日元 英镑 亩 公里 平方米 \
    平方公里 吨 斤 公斤 台 辆 只 条 张 户 倍 多年 册 部 套 本 棵 头 架 枚";

/// What may follow a quantity.
const ENDS: &str = "\
    左右 上下 以上 以下 以内 之内 之前 之后 以后 以前 以来 之久 前后 内 后 前 底 初 末 间 中 整 起 多 余 来 许 半 钟 \
    正 版 款 上午 下午 晚上 早上 凌晨 中午 晚 早 大关";

/// What may stand before a quantity.
const STARTS: &str = "\
    第 公元前 公元 公历 农历 阴历 阳历 大年初 正月初 腊月初 大年 上世纪 本世纪 年 早上 早晨 清晨 凌晨 上午 中午 下午 傍晚 晚上 夜里 深夜 半夜 \
    晚 早 近 约 大约 将近 共 每 逢 达 逾 超 超过 不到 不足 最后 前 后 头 双 负 零下 零上";

const WEEK_STARTS: [&str; 6] = ["上", "下", "本", "这", "每", "逢"];
const WEEK: [&str; 3] = ["星期", "礼拜", "周"];

/// Months, days, numbers in words that are no numeral and unit.
const OTHERS: &str = "\
    正月 元月 腊月 冬月 闰月 高一 高二 高三 大一 大二 大三 大四 研一 研二 研三 上百 上千 上万 上亿 好几 好几个 十几 \
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen \
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion dozen \
    first third fourth fifth sixth seventh eighth ninth tenth \
    monday tuesday wednesday thursday friday saturday sunday january february april june july august september \
    october november december ii iii iv vi vii viii ix xi xii xiii xiv xv";

/// Units in Latin letters, after digits.
const LATIN_UNITS: &str = "\
    kg g mg t cm mm km nm m ml l cl w kw mw kwh v kv ma mah a hz khz mhz ghz k kb mb gb tb p k s ms min h hr rmb usd \
    th st nd rd am pm x cc ppm db rpm mpa kpa pa kj kcal cal e";

/// Tables of the words above, to be asked about words in folded form.
pub struct Numbers {
    ordinary: HashSet<&'static str>,
    others: HashSet<&'static str>,
    units: HashSet<&'static str>,
    after_one: HashSet<&'static str>,
    after_hundred: HashSet<&'static str>,
    after_zero: HashSet<&'static str>,
    latin: HashSet<&'static str>,
    ends: Vec<&'static str>,
    starts: Vec<&'static str>,
}

impl Default for Numbers {
    fn default() -> Self {
        let set = |list: &'static str| list.split_whitespace().collect();
        Numbers {
            ordinary: set(ORDINARY),
            others: set(OTHERS),
            units: set(UNITS),
            after_one: set(UNITS_AFTER_ONE),
            after_hundred: set(UNITS_AFTER_HUNDRED),
            after_zero: set("点 点钟 时 分 度 下 上"),
            latin: set(LATIN_UNITS),
            ends: ENDS.split_whitespace().collect(),
            starts: STARTS.split_whitespace().collect(),
        }
    }
}

/// Numerals of cheques, which are words of their own in other company (陆地, 拾取).
const FORMAL: &str = "零壹贰叁肆伍陆柒捌玖拾佰仟";

/// Characters of the longest unit.
const UNIT_CHARS_MAX: usize = 4;

/// Characters of the longest word that can be a number in Chinese numerals.
const CHARS_MAX: usize = 24;

impl Numbers {
    /// True for a number, a quantity, an ordinal or a date; `word` is folded: letters and digits only, half
    /// width, small and simplified.
    pub fn is_number(&self, word: &str) -> bool {
        if word.is_empty() || self.ordinary.contains(word) {
            return false;
        }
        let plain = |c: char| c.is_numeric() || FORMAL.contains(c);
        if word.chars().all(plain) || self.others.contains(word) {
            return true;
        }
        if self.is_latin_quantity(word) || is_day_of_week(word) || is_cyclic_year(word) {
            return true;
        }
        if word.chars().nth(CHARS_MAX).is_some() {
            return false;
        }
        let mut starts = self.starts.iter().filter_map(|start| {
            let rest = word.strip_prefix(start)?;
            Some((*start, rest))
        });
        self.is_quantity(word, false)
            || starts.any(|(start, rest)| match start {
                "前" | "后" | "头" | "最后" | "每" | "共" | "双" | "年" | "早" | "晚" => {
                    !self.ordinary.contains(rest)
                        && rest.chars().count() > 1
                        && self.is_quantity(rest, false)
                }
                _ => self.is_quantity(rest, true),
            })
            || word.strip_prefix('初').is_some_and(|rest| {
                (1..=2).contains(&rest.chars().count()) && rest.chars().all(is_digit_or_ten)
            })
    }

    fn is_latin_quantity(&self, word: &str) -> bool {
        let digits = word.trim_start_matches(char::is_numeric);
        digits.len() < word.len() && self.latin.contains(digits)
    }

    /// True when the word is a row of numerals with units. After 第 or a time of day (`anchored`) each unit
    /// counts with each numeral.
    fn is_quantity(&self, word: &str, anchored: bool) -> bool {
        let mut rest = word;
        let mut has_unit = false;
        let mut numeral = "";
        loop {
            let after = skip_numeral(rest);
            if after.len() == rest.len() {
                break;
            }
            numeral = &rest[..rest.len() - after.len()];
            rest = after.trim_start_matches(['余', '多', '来', '几', '半']);
            if rest.len() < after.len() && rest.starts_with(is_numeral) {
                // 一千余万元: the numeral goes on.
                continue;
            }
            let Some(length) = self.unit(rest, numeral, anchored) else {
                // Something may be approximate without a unit (十余), but it is then the end.
                has_unit = false;
                break;
            };
            rest = &rest[length..];
            has_unit = true;
            if rest.is_empty() {
                return true;
            }
        }
        if numeral.is_empty() {
            return false;
        }
        let digits = numeral.chars().all(char::is_numeric);
        match rest {
            "" => true,
            _ => (has_unit || digits || anchored) && self.ends.contains(&rest),
        }
    }

    /// The length of the unit at the start of `rest`, after this numeral.
    fn unit(&self, rest: &str, numeral: &str, anchored: bool) -> Option<usize> {
        let units = match numeral {
            _ if anchored => &self.units,
            "一" | "半" | "几" => &self.after_one,
            "百" | "千" | "万" | "亿" | "数" => &self.after_hundred,
            "零" => &self.after_zero,
            _ => &self.units,
        };
        let mut ends: Vec<usize> = rest
            .char_indices()
            .take(UNIT_CHARS_MAX)
            .map(|(at, c)| at + c.len_utf8())
            .collect();
        ends.reverse();
        ends.into_iter().find(|&end| units.contains(&rest[..end]))
    }
}

/// What follows the numeral at the start.
fn skip_numeral(word: &str) -> &str {
    let rest = word.trim_start_matches(is_numeral);
    if rest.len() < word.len() {
        return rest;
    }
    match word.strip_prefix('数') {
        Some(after) if after.starts_with(['十', '百', '千', '万', '亿']) => {
            after.trim_start_matches(is_numeral)
        }
        Some(after) if !after.is_empty() => after,
        _ => word,
    }
}

fn is_numeral(c: char) -> bool {
    "零一二两三四五六七八九十百千万亿廿卅半几".contains(c) || c.is_numeric()
}

fn is_digit_or_ten(c: char) -> bool {
    "一二三四五六七八九十".contains(c) || c.is_numeric()
}

/// 星期三, 周日, 上周五, 下个星期天.
fn is_day_of_week(word: &str) -> bool {
    let starts = WEEK_STARTS.iter();
    let start = starts
        .filter_map(|start| word.strip_prefix(start))
        .next()
        .unwrap_or(word);
    let start = start.strip_prefix('个').unwrap_or(start);
    WEEK.iter().any(|week| {
        let Some(day) = start.strip_prefix(week) else {
            return false;
        };
        let mut chars = day.chars();
        let named = chars
            .next()
            .is_some_and(|c| "一二三四五六日天1234567".contains(c));
        named
            && matches!(
                chars.as_str(),
                "" | "早上" | "上午" | "中午" | "下午" | "晚上" | "晚" | "夜里" | "凌晨"
            )
    })
}

/// 甲午, 辛亥年: a heavenly stem and an earthly branch that meet in the cycle of sixty.
fn is_cyclic_year(word: &str) -> bool {
    let place = |list: &str, c: char| list.chars().position(|other| other == c);
    let mut chars = word.chars();
    let (Some(stem), Some(branch)) = (chars.next(), chars.next()) else {
        return false;
    };
    let stem = place("甲乙丙丁戊己庚辛壬癸", stem);
    let branch = place("子丑寅卯辰巳午未申酉戌亥", branch);
    let meet = stem
        .zip(branch)
        .is_some_and(|(stem, branch)| stem % 2 == branch % 2);
    meet && matches!(chars.as_str(), "" | "年")
}

/// Characters of a word in which another numeral makes another word (一中, 二中), unless it starts with 第.
const SAME_BUT_NUMERALS_MAX: usize = 3;

/// True when two folded words are the same but for their numbers: iphone6 and iphone7, 一中 and 二中.
pub fn differ_in_number(first: &str, second: &str) -> bool {
    let digits = |word: &str| word.contains(char::is_numeric);
    let letters = |word: &str| word.chars().filter(|c| !c.is_numeric()).collect::<String>();
    if digits(first) && digits(second) && first != second {
        let rest = letters(first);
        if !rest.is_empty() && rest == letters(second) {
            return true;
        }
    }
    if first == second || first.len() != second.len() {
        return false;
    }
    let one_to_nine = |c: char| "一二三四五六七八九".contains(c);
    let ordinal = first.starts_with('第');
    (ordinal || first.chars().count() <= SAME_BUT_NUMERALS_MAX)
        && first
            .chars()
            .zip(second.chars())
            .all(|(one, other)| one == other || one_to_nine(one) && one_to_nine(other))
}

#[cfg(test)]
mod tests {
    use super::{Numbers, differ_in_number};

    #[test]
    fn numbers() {
        let numbers = Numbers::default();
        let yes = "\
            0 50 2018 ３ ② Ⅳ 一 二 十 十五 二十 一百二十 三千 百万 一亿 〇 零 二〇一六 一九八四 壹 贰仟 三五 上百 数十 数千 好几 十几 \
            二十多 十余 百余 一千余万元 一百多个 三十来岁 二点五 三分之一 百分之五 百分之百 十万分之一 三成 两倍 百倍 三折 \
            一个 两个 三个 几个 十个 3个 一位 两名 三只 五条 十张 一本 三件 两次 一次 一年 两年 百年 三十年 数年 十年后 三天前 三年内 \
            两个半月 三个多月 三个小时 半年 半小时 两年半 三天三夜 一百年 五岁 八十岁 三公里 一米 一米八 五公斤 100米 37度 5月 三人 \
            一元 十块钱 50美元 三万元 万元 五星级 一年级 三年级 三楼 二十世纪 20世纪 80年代 八十年代 80后 九十年代初 2018年底 \
            2018年 一九八五年 二〇〇八年 3月5日 三月五日 五月 十二月 十月份 五号 20180305 10点 十点 十点半 三点二十分 上午十点 下午三点半 \
            晚上8点 凌晨两点 早上七点钟 1030 公元前221年 农历三月 大年初一 初一 初十 正月 腊月 甲子 辛亥 戊戌年 \
            星期三 星期天 礼拜一 周一 周日 周五 上周五 下星期一 本周六 下个星期三 每周日 周一上午 \
            第三 第一 第10 第二十 第一个 第三次 第五名 第二年 第三季度 第一百零一 高一 大二 \
            5kg 20cm 1080p 4k 3g 100w 128gb 1st 22nd one three tenth monday february iii xiv \
            三五个 七八个 十七八岁 五一 六一 十一 双十一 近百 近三年 约五百 零下十度 前三名 最后一个";
        for word in yes.split_whitespace() {
            let mut codes = Vec::new();
            crate::text::fold::fold(word, &mut codes);
            let folded: String = codes.into_iter().filter_map(char::from_u32).collect();
            assert!(numbers.is_number(&folded), "{word} is a number");
        }
    }

    #[test]
    fn words_that_only_look_like_numbers() {
        let numbers = Numbers::default();
        let no = "\
            一起 一般 一样 一定 一直 一些 一下 一点 一切 一旦 一时 一面 一边 一方面 一会儿 一路 一道 一同 一再 一律 一共 一向 一致 一味 \
            一手 一口气 一身 一生 一辈子 一家人 一流 一线 一带 一举 一贯 一般人 一把手 一把抓 一体 一体化 一模一样 一心一意 一塌糊涂 \
            一步到位 一目了然 一帆风顺 一丝不苟 一清二楚 一点一滴 一生一世 一一 唯一 统一 单一 专一 同一 万一 合一 逐一 始终如一 \
            二手 二手房 二者 二胡 二氧化碳 二维码 两边 两岸 两性 两者 两头 两口子 两样 两侧 两极 \
            三心二意 三角 三角形 三明治 三轮车 三国 三亚 三维 三番五次 三长两短 三言两语 三三两两 三天两头 三七 再三 接二连三 \
            四周 四季 四川 四肢 四处 四面八方 四分五裂 四合院 五官 五金 五行 五花八门 五颜六色 六神无主 六亲不认 七夕 七上八下 七嘴八舌 \
            八卦 八股 乱七八糟 九州 九牛一毛 十分 十足 十字路口 十全十美 千万 千克 千米 千瓦 千古 千金 千里 千方百计 千家万户 千千万万 \
            百姓 老百姓 百货 百合 百度 百科 百般 百分点 百分比 百花齐放 万分 万岁 万物 万能 万般 万里 万里长城 万众一心 亿万 成千上万 \
            半天 半夜 半路 半岛 半径 半导体 半边 多半 半途而废 几乎 几何 几时 几分 几率 茶几 \
            数学 数据 数字 数码 数量 数目 数组 无数 多数 约数 负数 数 零件 零售 零食 零钱 陆地 陆 拾取 兆头 兆 \
            第三者 第一线 第三产业 第一夫人 初 初中 初期 初步 周末 周到 周期 周围 周天 上周 每周 星期 星期几 三伏天 八路军 五四运动 \
            mp3 iphone6 b2b h1n1 windows10 g20 a4 4s店 3d打印 c919 gpu one-way sunny mayor 高兴 学校 年年 月亮 日子 个人 今年 去年 \
            甲乙 甲丑 丁克 子女 每年 每个 前年 前天 后天 年轻 早点 晚点 共同 双方 第 农历 上午";
        for word in no.split_whitespace() {
            assert!(!numbers.is_number(word), "{word} is no number");
        }
        assert!(!numbers.is_number(""));
        assert!(!numbers.is_number(&"三个".repeat(40)));
    }

    #[test]
    fn only_the_number_differs() {
        let yes = [
            ("iphone6", "iphone7"),
            ("windows7", "windows10"),
            ("一中", "二中"),
            ("一流", "二流"),
            ("第二产业", "第三产业"),
            ("三国", "七国"),
        ];
        let no = [
            ("iphone6", "iphone6"),
            ("iphone6", "iphone"),
            ("iphone6", "note7"),
            ("三番五次", "三番两次"),
            ("百般", "万般"),
            ("十分", "万分"),
            ("一中", "二小"),
            ("一流", "一流"),
            ("mp3", "mp"),
            ("", ""),
        ];
        for (pairs, expected) in [(&yes[..], true), (&no[..], false)] {
            for (one, other) in pairs {
                assert_eq!(differ_in_number(one, other), expected, "{one} {other}");
                assert_eq!(differ_in_number(other, one), expected, "{other} {one}");
            }
        }
    }
}
