"""A hundred sentences of our own: a small grammar with sound-alike errors, and hard cases by hand."""

TIMES = ["今天", "昨天晚上", "下个星期", "每天早上", "去年冬天", "放假以后", "2024年", "刚才"]
PEOPLE = ["我", "他们", "王老师", "小明的妈妈", "这位医生", "公司的经理", "我们班同学", "邻居"]
# What somebody does; the wrong form of a word stands behind a stroke.
DEEDS = [
    "觉得{心情|新情}很好",
    "说公司的{经济|经既}发展很快",
    "在{图书馆|图书管}看了一本书",
    "给老人让了一个{座位|坐位}",
    "{已经|以经}完成了全部{工作|工做}",
    "为同学们{组织|组职}了一次旅行",
    "认真{研究|言究}了新的{政策|政测}",
    "没有时间考虑这个{问题|问提}",
    "{决定|绝定}在那里{建设|建射}新的工厂",
    "{帮助|邦助}别人{解决|解绝}困难",
    "认为{健康|件康}比什么都{重要|中要}",
    "希望{提高|题高}工作的{效率|效律}",
    "知道公司的{利润|利闰}增加了",
    "非常{感谢|敢谢}大家的{支持|支待}",
    "{开始|开使}注意{保护|保户}自己的{眼睛|眼晴}",
    "报告说粮食的{产量|产亮}增加了",
]
ENDINGS = ["。", "！", "，大家都很高兴。", "？", "…… ok", "，对吗", "；价格是128元。", ""]

BY_HAND = [
    "我用iPhone12拍的照片很好堪",
    "我用 iPhone 12 拍的照片很好堪",
    "他在GitHub上写了C++和C#的代马，还有R&D部门的文当",
    "这台laptop的电持只能用3小时，wifi也不稳定",
    "微信群里有500个人，每人发5块钱，一共2500块，大家都很开新",
    "ＡＢＣ全角字母和１２３数字，新情也很好",
    "今 天 新 情 很 好",
    "少 先  队 员 因 该 为 老人让坐",
    "😀今天新情很好😀😀，明天因该下雨☔️",
    "👨‍👩‍👧一家人高高新新地出去完了",
    "今天天氣很好，我們應該出去玩，因該帶上雨傘",
    "他說這個問提很難解決，老師也不知到",
    "café里的咖啡很好喝，价各也不贵",
    "温度是−5℃，大家都带了帽子和围斤",
    "电子邮件是zhang_san@example.com，请在五点以前回付",
    "#今日话题#怎样才能学好汉于",
    "〇一二三，二〇二四年的经济型势很好",
    "他每天都去公园跑步\u3000身体很件康",
    "第一行新情很好\t第二列因该也好",
    "“他以经走了”，她说，“你在等一会儿吧”",
    "龘靐齉这些字很少见，但是也因该认识",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789好堪",
    # Two wrong characters side by side: what the first becomes decides about the second.
    "会议决定加强环境燥拭管理",
    "他们开始研究妻佥的方法",
    "这个地区的经洛拾会得到了提高",
    "大家认真讨论了经洛肚会问题",
    "。。。！！！，，，",
    "abc 123 +#& xyz",
    "坐",
    "",
]


def grammar(count):
    """Every third deed keeps its errors out: a corrector must also leave things alone."""
    for n in range(count):
        deed = DEEDS[n % len(DEEDS)]
        deed = "".join(
            part.split("|")[0 if n % 3 == 2 else 1] if "|" in part else part
            for part in deed.replace("}", "{").split("{")
        )
        who, when = PEOPLE[(n * 5 + n // 16) % len(PEOPLE)], TIMES[(n * 3 + n // 8) % len(TIMES)]
        yield (f"{when}{who}{deed}" if n % 2 else f"{who}{when}{deed}") + ENDINGS[(n + n // 8) % len(ENDINGS)]


def all_sentences():
    # Longer than the network's positions. Of Han alone: 提 is character 510, from 0, the first of a
    # second piece, where it passes; a cut one earlier would show what is before it. With Latin:
    # no token is at the place of its character.
    deeds = [s.translate(str.maketrans("", "", "。！，？…；")).replace(" ", "") for s in grammar(80)]
    han = "".join(s for s in deeds if not any(c.isascii() for c in s))
    error, phone = "我们没有时间考虑这个问提", "他的iPhone12很好看"
    long_han = han[:499] + error + han[499:529]
    long_mixed = f"{phone * 12}{error}{phone * 60}{error}{phone * 6}"
    own = BY_HAND + [long_han, long_mixed]
    return own + list(grammar(100 - len(own)))
