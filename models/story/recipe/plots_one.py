"""The plots. Each one is a short play over the state in world.py: wish, trouble, tries, ending.

Sentences keep naming who and what they speak of: that makes the stories easy to follow for a small
reader and a small model, and makes it unlikely that any twelve words come twice.
"""
import words


def start(w, friend=True):
    w.opening()
    if friend:
        w.friend()
    w.detail(0.3)
    w.para()
    w.when()


def comfort(w, who="F", to="H"):
    a, b = "[%s]" % who, "[%s]" % to
    w.say('"{Don\'t be sad|Don\'t cry|Cheer up|Oh dear|Never mind|Dry your eyes|Don\'t worry|'
          'Poor you}, %s," {said|whispered|answered} %s{| @softly}. "{We will find a way|Things '
          "will look better after @joy|I am here, and so is @joy|I will help you with the [o]|"
          'Let us think {together|of a plan|about it}}."' % (b, a),
          "%s {put an arm around|sat down beside|hugged|patted|smiled at} %s and {said @softly|"
          'whispered}, "{I will help you|We can do it together|You are not alone|I am {your|a} '
          'friend|Let us try {again|together}}, %s."' % (a, b, b),
          '"{What is wrong|What is the matter|Why do you look so @sad|What happened|Why are you '
          'sitting here}, %s?" asked %s, who {had come along {the path|the lane|[P]}|was {eating '
          "a @flavour @food|carrying a @looks @toy}}." % (b, a))


def thanks(w, who="H", to="F"):
    a, b = "[%s]" % who, "[%s]" % to
    w.say('"{Thank you|Oh, thank you|Thank you so much|How kind you are|You are a {true|good|'
          'dear} friend}, %s!" {said|cried|laughed} %s {@softly|and {gave|handed} [%s.him] {a '
          "@flavour @food|a @colour @flower|a @looks @toy|half of a @flavour @food}}." % (b, a, to),
          "%s {thanked|hugged|kissed} %s and gave [%s.him] {a @flavour @food|a @colour @flower|a "
          "bunch of @colour @flower#|half of a @flavour @food}." % (a, b, to),
          "%s was so @glad that [%s.he] {danced|hopped|skipped|ran} {twice|three times|all the "
          "way} around {%s|the @tree tree|[nP]}." % (a, who, b))


def lost(w):
    start(w)
    w.v["obj_end"] = True
    w.place("2")
    w.v["where"], w.v["no1"], w.v["no2"] = w.r.sample(words.HIDING, 3)
    w.v["found1"] = w.fill("{a @colour @bug|an old boot|a @looks @toy|a sleepy @bird|@num acorns|"
                           "a {broken|rusty} @toy|some @flower#|a snail|nothing but {dust|leaves|"
                           "mud}}")
    w.v["found2"] = w.fill("{a @colour @bug|a @looks @toy|a {cross|sleepy} @bird|@num pebbles|a "
                           "{broken|rusty} @toy|a @flavour @food|a cobweb|nothing but {grass|"
                           "straw|a feather}}")
    w.say("[H] had a [o], {a gift|a present} from [E.obj], and {took|carried} it everywhere.",
          "More than anything, [H] loved {a|one} [o] that {had come from|was made by} [E.obj].",
          "[E] had given [H] a [o] {on [H.his] birthday|one @day|for being so @trait}, and "
          "[H.he] {played with it|showed it to [F]|kept it close} every day.")
    w.say("[when], [H] {took|carried|brought} the [o] [toP] {to play|to show [F]|and @game|and "
          "sat down to eat @joy}.",
          "[when], [H] and [F] {@game|@game} [P], and the [o] {lay|was|waited} {nearby|on the "
          "ground|beside them}.",
          "[when], [H] @move [toP] with the [o] and @game {with [F]|until noon|for a long time}.")
    w.detail(0.5)
    w.say("{But when|When} [H] {looked|turned|came} {around|back|again}, the [o] was {gone|not "
          "there|nowhere to be seen}.",
          '{Then|After a while|All at once} [H] {stopped|jumped up|saw} and cried, "{Where is my '
          '[o]?|I have lost my [o]!|Oh no, my [o] is gone!}"',
          "{On the way home|At noon|When it was time to go}, [H] {felt|looked} for the [o], but "
          "it was {gone|lost|not there}.")
    w.say("[H] was @sad, and {[H.his] {eyes|cheeks} were wet|[H.he] began to cry|[H.he] sat down "
          "{by|near|under} {a|the} @tree tree}.",
          "[H.he] felt {very|so|quite} @sad without the [o].")
    w.para()
    if w.r.random() < 0.6:
        comfort(w)
    w.say('"{Let us look|I will help you look|Let us search|We must look} for the [o]," {said|'
          "cried} [F]{| @softly}.",
          "[F] {heard|saw} {this|what had happened} and {came|ran|hurried} to {help|look for the "
          "[o]}.")
    w.say("{First|First of all} {they|[H] and [F]} @look [no1], but {there was only|they found "
          "only|all they saw was} [found1].")
    w.maybe(0.75, "{Then|Next|After that} {they|[F]} @look [no2] and {found|saw} [found2], but "
                  "no [on].",
            "[no2] [F] and [H] found [found2], but {the [o] was not there|no sign of the [o]}.")
    w.maybe(0.35, '"{It is not here|It must be somewhere|I will never find it|We will not give '
                  'up}," {said|sighed} [H] {@sadly|and looked {at [F]|up at the sky|[P2]}}.')
    w.detail(0.4)
    w.para()
    w.say("{At last|In the end|Just then|Suddenly}, [F] {looked|peeked|searched} [where], and "
          "{there was|there lay|{they|[H]} saw} the [o]!",
          "{At last|Then|Just before dark}, [H] saw {something @colour|a bit of @colour|"
          "something} [where]: it was the [o]!",
          'Then {[E]|a {passing|@trait} @animal} came by and said, "{Is this what you lost|Are '
          'you looking for this|Whose [on] is this}, [H]?" The [o] had been [where] {all the '
          "time|all day}.")
    w.maybe(0.5, "{The wind|A @bird|A puppy|A playful kitten|A cheeky crow} had {carried|brought|"
                 "taken} {it|the [on]} there.")
    thanks(w)
    w.lesson_end("[H] {tied|sewed|painted} {a|one} @colour {ribbon|string|star} on the [o] so "
                 "that it would {never|not} {get lost|be lost} again.",
                 "From {then|that day} on, [H] {always put|kept} the [o] {in a safe place|on a "
                 "shelf|in a @looks box|beside the bed} {before supper|at night|after playing}.")


def sharing(w):
    start(w)
    w.v["food"] = w.fill("@flavour @food")
    f = w.v["food"].split()[-1]
    w.v["f"] = f
    w.say("[when], [E] gave [H] {a|one} [food] {to take [toP]|for lunch|for being {good|@trait}}.",
          "[when], [H] {found|bought|was given} a [food] {at the market|[P]|by [E.obj]}.")
    w.say("[H] {sat down|stopped} [P] {to eat|and wanted to eat} {it|the [food]}, and it "
          "{smelled|looked} {so good|very good|wonderful|@flavour}.")
    w.detail(0.5)
    w.say("{Just then|Soon|After a moment}, [F] {came by|@move past|came along {the lane|the "
          "path|@softly}}, {looking|and [F.he] was} {@sad|hungry}.")
    w.say('"I {had|have had} {nothing|no lunch|no breakfast} {to eat today|since @day|because my '
          '{cup|basket|bag|plate} fell into {the mud|a puddle|the river}}," {said|sighed|'
          "whispered} [F].",
          '"{My|Oh, my} {basket|lunch|bag|@food} {fell into {the mud|a puddle|the river}|was '
          'eaten by a {goat|crow|dog|goose}}," {said|sighed} [F] @sadly.')
    w.say("[H] looked at the [food] and {then|then again} at [F].",
          "[H] {thought|stopped chewing|was quiet} for a {moment|little while} and looked at [F].")
    sel = w.r.random() < 0.5
    if sel:
        w.say('"{It is mine|I want to eat it all|It is too small for two|This [f] is only for '
              'me}," {said|cried} [H] and {turned|looked} away.',
              "[H] {hid|put} the [f] behind [H.his] back and {said nothing|shook [H.his] head|"
              "looked at the @bird#}.")
        w.say("[F] {walked away|sat down|went off} @softly and {looked|felt} {even more|very|"
              "quite} @sad.")
        w.para()
        w.say("[H] {took a bite|tried to eat}, but the [food] did not taste {good|nice|right} "
              "{any more|at all}.",
              "{But the|The} [f] {did not taste|was not} as {good|sweet|nice} {as before|as [H] "
              "had hoped|while [F] was @sad}.")
        w.say('"{It is no fun|It is not nice|I do not like} to eat alone," {thought|said} [H], '
              "and [H.he] {ran after|called|went to find} [F].",
              "[H.he] {remembered|thought of} {the day|how} [F] had {shared|given [H.him]} {a "
              "@looks @toy|@joy|a @flavour @food}, and {ran|@move} after [F.him].")
    else:
        w.para()
    w.say('"{Come|Here|Please come}, [F], {let us share|I will share|you can have half of} {my|'
          'this} [food]," said [H]{| @softly}.',
          "[H] {broke|cut} the [food] in two and gave {the bigger|one|half|the best} {piece|"
          "part} to [F]." if f not in ("pudding",) else '[H] gave [F] half of the [food].')
    w.say("{They|The two friends} {sat|ate} {together|side by side} {under a @tree tree|on a "
          "{wall|log|bench}|@sit} and {talked about|laughed about|watched} {the @bird#|a @colour "
          "@bug|[nP]}.")
    thanks(w, "F", "H")
    w.detail(0.3)
    w.lesson_end('"{Shared|Half a} [f] {tastes better than a whole one|is the best kind}," {said|'
                 "laughed} [H], and [F] {nodded|agreed|clapped}.",
                 "The next {day|@day}, [F] brought {@num @flavour @food#|a @flavour @food|@joy}, "
                 "and {this time|now} [F.he] shared with [H].")


FEARS = [
    ("the dark",
        "went out without a lamp",
        "the dark was only {soft|quiet} and full of {stars|little sounds}"),
    ("thunder",
        "stood at the window while it thundered",
        "the thunder was only {noise|a big drum in the sky}"),
    ("deep water", "put both feet into the water", "the water was {cool and kind|only wet}"),
    ("the big slide", "climbed up and slid down", "the slide was {fun|fast and funny}"),
    ("the barking dog", "held out a hand to the dog", "the dog only wanted {to play|a friend}"),
    ("high places", "climbed up to the top", "the world was {wide|lovely} from up there"),
    ("bees", "sat still beside the bees", "the bees were only {busy|looking for flowers}"),
    ("the old cellar",
        "went down the cellar steps", "the cellar held nothing but {apples|jars of jam}"),
    ("the narrow bridge", "walked over the bridge", "the bridge was {strong|safe}"),
    ("singing in front of people",
        "sang a song for everyone", "the song was {over soon|sweet} and everyone clapped"),
    ("the wind at night",
        "opened the window to the wind", "the wind was only {singing|playing with the leaves}"),
    ("the big goose",
        "walked past the goose", "the goose was only {looking after her eggs|hungry}"),
    ("the new school",
        "went in through the school door", "the school was full of {friends|books and songs}"),
    ("snowstorms", "stepped out into the snow", "the snow was {soft|white and quiet}"),
]


def fear(w):
    start(w)
    fear_, deed, truth = w.r.choice(FEARS)
    w.v["fear"], w.v["deed"], w.v["truth"] = fear_, deed, w.fill(truth)
    w.say("But [H] was {@fearof of|very much afraid of|always afraid of} [fear], and {only [F] "
          "knew|[E] knew it|that made [H.him] @sad}.",
          "There was {only one|one} thing that [H] {did not like|feared}: [fear].",
          "[H] {was brave about|did not mind} {@bug#|rain|@bird#|mud}, but [H.he] was {so|very} "
          "@fearof of [fear].")
    w.say('[when], [F] {asked|said}, "{Will you come|Please come|Come} {with me|along} [toP], '
          '[H]?"',
          "[when], [H] and [F] {went|walked|hurried} [toP], {where|and there} [H] had to {face|"
          "meet} [fear].")
    w.say('"{I can\'t|I dare not|No, no}," {said|cried|whispered} [H]. "I am @fearof of [fear]."',
          "[H.his] {knees|legs|hands} {shook|trembled}, and [H.he] {hid|stood} {behind [F]|"
          "behind a @tree tree|very still}, because of [fear].")
    w.detail(0.4)
    w.para()
    comfort(w)
    w.say('"{Once|When I was small}, I was {afraid|@afraid} of {@bug#|@bird#|my own shadow|the '
          'moon|puddles|@animal#}," said [F], "but {now|since I made friends with @num @animal#,|'
          'since [E] helped me,|with @joy in my tummy,} I am {not|brave}."',
          '[F] {held|took} [H.his] [H.hand] and said, "{Take @num small steps|Count to @num, [H]|'
          "Think of @joy|Hold the [o] tight}, and {I will stay with you|do not look at the "
          '@tbird#|breathe like a sleepy @animal|@joy will be your prize}."',
          '[F] gave [H] a [o] {to hold|for luck} and {said|told [H.him]}, "{Hold the [o] tight|'
          'This [o] makes me brave}, and {think of @joy|count to @num|sing {a song|a little}}."')
    w.maybe(0.5, "[H] {tried|went} a little way, {but|and then} {ran|came} back {@softly|to [F]|"
                 "when a @bird called}.",
            "The first time, [H] {turned back|shut both eyes|got only half way}, and [F] {waited|"
            "smiled|said nothing}.")
    w.say("{Then|At last|So} [H] {took a deep breath|counted to @num|thought of @joy|hummed a "
          "little song}, and {@softly|step by step} [H] [deed].",
          "{Then|At last|So}, holding {the [o]|[F.his] [F.hand]|a @looks @toy}, [H] [deed].")
    w.say("And {what do you think, [H]? [truth].|behold, [truth].|do you know, [truth].|[H] {saw|"
          "found} that [truth].}")
    w.para()
    w.say('"{I did it|Look at me|I am not afraid any more}!" {cried|shouted|laughed} [H], and '
          "[F] {clapped|cheered|jumped for joy} {@softly|until the @bird# flew up}.",
          "[H] {felt|was} as {brave|big|tall|strong} as {a lion|a bear|a king|an elephant|a "
          "mountain}, and {told|showed} {[F]|[E.obj]} {about it|how easy it was} {@softly|over "
          "@joy}.")
    w.lesson_end("{From that day on|After that}, [H] {was|felt} {only a little|not|hardly} "
                 "afraid of [fear], and {helped|told} {other|little} {children|ones} who were "
                 "@afraid.",
                 "[H] {kept|hung} the [o] {by|over|near} the bed, {to remember|in memory of} "
                 "{that|the} {day|@time} {[P]|with [F]}." if any("[o]" in x for x in w.recent) else
                 "[E] {heard|was told} {all about it|the story} and {made|brought} @joy for the "
                 "brave [H.kind] and for [F].")


BUILDS = [
    ("tree house", "boards and nails", "played in it"),
    ("raft", "logs and rope", "sailed on it"),
    ("cart", "boards and wheels", "rode in it"),
    ("den", "branches and leaves", "sat in it"),
    ("bridge", "planks and stones", "walked over it"),
    ("snowman", "snow and coal", "danced around it"),
    ("sandcastle", "sand and shells", "sat beside it"),
    ("bird house", "wood and nails", "watched the birds in it"),
    ("kite", "paper and sticks", "flew it high"),
    ("boat", "wood and cloth", "sailed in it"),
    ("swing", "rope and a board", "swung on it"),
    ("scarecrow", "straw and old clothes", "waved to it"),
    ("tent", "sticks and blankets", "slept in it"),
    ("puppet theatre", "boxes and paint", "gave a show in it"),
    ("sled", "boards and ropes", "rode on it"),
    ("little windmill", "sticks and paper", "watched it turn"),
    ("rabbit hutch", "boards and wire", "put it in the yard"),
    ("tower", "stones and clay", "looked down from it"),
    ("fort", "boxes and chairs", "hid in it"),
    ("little house", "bricks and mud", "sang in it"),
]


def building(w):
    start(w)
    b, mat, use = w.r.choice(BUILDS)
    w.toy(b)
    w.v["b"], w.v["mat"], w.v["use"] = w.obj, mat, use
    m1, m2 = mat.split(" and ")
    w.v["m1"], w.v["m2"] = m1, m2
    w.say('[when], [H] {had an idea|said to [F]|woke up with a plan}: "{I want to|We could|Let '
          'us} {build|make} a [b] [P]!"',
          "[when], [H] {wanted|wished} {very much |}to {build|make} a [b] {[P]|for [E.obj]|with "
          "[F]}.")
    w.say("{First|So} {they|[H] and [F]} {gathered|looked for|collected} [m1] {[P]|behind the "
          "{barn|shed}|from [E.obj]} and {carried|brought|took} [m2] {in a @looks {bag|basket|"
          "wagon|sack}|in their arms}.",
          "[H] {fetched|brought|carried} [m1] {in a @looks {bag|basket|wagon}}, and [F] {found|"
          "brought} [m2] {[P]|behind the {barn|shed}}.")
    w.say("All {morning|day|afternoon} {they|the two} worked {@softly|{while|and} a @bird "
          "{watched|sang}|[P]}, and {bit by bit|little by little} the [b] {grew|took shape}.",
          "[F] held the [m1] while [H] {pushed|pulled|pressed|tied|set} the [m2] {into place|"
          "@softly}.")
    w.detail(0.5)
    w.para()
    w.say("{But then|Then|All at once}, {a strong wind came|a @animal ran by|it began to rain|"
          "[H] slipped|a goat leaned on it}, and the [b] {fell down|fell apart|tipped over} "
          "{with a {crash|bump|thud|clatter}}.",
          "{But|Oh dear,} the [b] {was too weak|would not stay up|leaned to one side}, and {down "
          "it went|it fell} {with a {crash|bump|thud} beside [H]|when [F] touched it|onto the "
          "@colour @flower#}.")
    w.say('"{All our work is lost|It will never stand|I give up|What a mess}!" {cried|sighed|'
          "groaned} [H], and {kicked a stone|sat down @sit|looked very @sad}.",
          "[H] {felt|was} @sad and {wanted to go home|sat down @sit|kicked a stone [P]}.")
    if w.r.random() < 0.5:
        comfort(w)
    w.say("{[E] {came by|looked over the fence|saw it} and said|Then [E] walked past with a "
          '@looks {bag|basket} and said}: "{Make the bottom {wide|strong}|Use more [m1] {below|'
          "at the bottom}|Tie it with [m2] on both sides|Rest with @joy first, [H], and then "
          'work slowly}."',
          '"{Look|Wait|I see}," said [F], "{the [b] needs|we must use} more [m1] {at the bottom|'
          "on this side}, and {you hold the [m2]|[H] must hold the [m2]|I will hold the [m2]} "
          '{slowly|tight|with care|for @num minutes}."')
    w.say("So [H] and [F] {began|started|tried} {again|once more}, {with more [m1]|with better "
          "[m2]|@softly}, and {this time|now} the [b] {stood|held} {firm|strong|fast}.",
          "[H] {wiped [H.his] nose|smiled again|jumped up}, and {together they|the two friends} "
          "{put|set|built} the [b] up {again|once more}, {stronger|better|taller|wider} than "
          "{before|a @animal house|the first time|a @tree tree}.")
    w.para()
    w.say("{At last|Before supper|When the sun went down}, the [b] was {done|ready|finished}, "
          "and {they|[H] and [F]} [use] {@gladly|until {dark|@joy was ready}|with {shouts|songs} "
          "of joy}.")
    w.maybe(0.5, '"{This is the best|I never saw such a fine|[H], this is a good|Who built such '
                 'a fine} [b] {[P]|in the village|in the world}," said [E]{| @softly}.',
            "{@num|Even @num} {@bird#|@animal#|children} came to {look at|see|admire} the [b].")
    w.lesson_end('"{If|When} {a @looks house|a [b]|a tower} falls down, {you can|we just} build '
                 'it again, [F]," said [H], and [F] {laughed|nodded|ate @joy}.')


def surprise(w):
    start(w)
    w.v["obj_end"] = True
    w.v["day"] = w.fill("@day")
    w.say("[when], it was [H]'s birthday, {and|but} {nobody|no one|not even the @animal#} {in "
          "the @colour house|[P]} said {a word|anything} to [H].",
          "On [day] it was [H]'s birthday, {but|and yet} {nobody|no one} [P] {seemed to remember|"
          "said so}.")
    w.say("[E] {was busy with {a @flavour @food|the @flower#|a @looks @toy}|only asked [H] to "
          "{sweep the floor|feed the {hens|cat}|fetch water}|went out early}.",
          '"Good morning," said [E], {and went to {mend|wash} a @looks @toy|and that was all|'
          "picking @flower#}.")
    w.say("[H] {looked for|ran to|called} [F], but [F] {was not at home|{hurried|ran} away {with "
          'a @looks {bag|basket|box}|@softly}|said, "I have no time today"}.',
          "Even [F] {{hurried|ran} past with a @looks {bag|basket|box}|closed the door {quickly|"
          '@softly}|said, "I must go [toP]"}.')
    w.say('"{They have|Everyone has} forgotten {me|my birthday}," {thought|sighed|said} [H] and '
          "{sat|walked} {alone [P]|@softly [toP]|@sit}.",
          "[H] felt {very|so|quite} @sad and {walked|wandered|went} [toP] {alone|to be alone|"
          "@softly}.")
    w.detail(0.6)
    w.para()
    w.say("{After a while|At four o'clock|When the sun was low|Late that day}, a @bird {sang "
          "@softly|flew by}, and [H] {went|walked} home {slowly|with slow steps|past the @tree "
          "trees}.",
          "{After a while|At four o'clock|When the sun was low}, [E] called from {the window|the "
          'gate|afar}: "{Come home|Please come}, [H], {I need help|and bring @num @flower#}!"')
    w.say("{But|And} what was that? There {were|hung} @colour {lamps|flags|ribbons} {on|over} "
          "{the door|every @tree tree|the table}, and {it smelled of @joy|there was a @flavour "
          "{cake|pie}}.",
          "[H] opened the door, and {it was dark|all was still}. {Then|Suddenly} @num @colour "
          "{candles|lamps} {shone|were lit} {around|beside} a @flavour {cake|pie}.")
    w.say('"Surprise!" {cried|shouted|called} [F] and [E.obj], and {@num|all the} {friends|'
          "neighbours|@animal#} {jumped|came} out from {behind|under} {the @colour table|the "
          "@colour curtain|the @tree tree}.")
    w.say('"{We did not forget|I wanted to keep it secret|Did you think we forgot}, [H]," '
          "{laughed|said} [F], and {gave|handed} [H.him] a [o]{| tied with a @colour ribbon}.",
          '[F] {gave|handed} [H] a [o], {and said, "I made it {myself|all @season|for you}"|'
          "which [F.he] had {made|painted} {in secret|@softly}}.")
    w.para()
    w.say("[H] {laughed and cried over the [o]|could not speak for joy about the [o]|was so "
          "@glad}, and {hugged the [o] and then [F]|{danced|jumped} around the table with the "
          "[o]}.",
          '"{It is|This is} the {best|finest|nicest} [on] {of all|in the world}," said [H], and '
          "[H.he] {held|showed|hugged} the [o] {@softly|all evening}.")
    w.say("{They|Everyone} {ate @joy|shared the @flavour {cake|pie}|drank lemonade} and @game "
          "{[P]|until late|until the moon {rose|came up}}.")
    w.lesson_end()


def mistake(w):
    start(w)
    w.v["obj_end"] = True
    w.toy(w.r.choice(words.BREAKABLE))
    w.say("[F] had {made|been given|bought} a [o] {and was proud of it|at the market|[P]|on "
          "@day}, {and everyone {liked|admired} it|and [H] liked it very much}.",
          "{On a shelf|On a table|At home}, [F] {kept|had} a [o], {the {finest|dearest} of all "
          "things|as {pretty|fine|dear} as {gold|a star|the moon}}.")
    w.say("[when], {while|when} [F] was {away|out|picking @flower#|asleep}, [H] {wanted to|tried "
          "to} {play with|hold|look at} the [o] {just once|a little|@softly}.",
          '[when], [F] {let [H] hold|lent [H]} the [o] and said, "{Please be careful|Be gentle|'
          'Hold it tight}, [H]."')
    w.say("{But|Then} {[H.his] foot slipped|[H.his] [H.hand] shook|a @bug {buzzed by|tickled "
          "[H.him]}|a dog barked}, and the [o] {fell|dropped} {on a stone|to the floor|on the "
          "ground|down the steps} and {broke|cracked}.",
          "[H] {ran|jumped|danced} {too fast|about|[P]}, and {crash|bump|crack}! The [o] {broke "
          "in two|lay broken {@sit|on the ground}}.")
    w.say('"{Oh no|Oh dear|What have I done}!" {whispered|cried|thought} [H], and {hid|put} the '
          "pieces @hiding.",
          "[H] {turned red|was @afraid|felt cold all over} and hid the [o] @hiding.")
    w.detail(0.4)
    w.para()
    w.say("{Soon|Later|That @time}, [F] {looked|asked} for the [o] {everywhere|[P]|and could not "
          "find it}, and was @sad.",
          '"{Has anyone seen|Where is|Have you seen} my [o]?" asked [F] {@softly|that {evening|'
          "afternoon}}.")
    w.say("[H] {said nothing|looked at the floor|could not eat {the @flavour @food|@joy}}, and "
          "{[H.his] tummy hurt|[H.he] felt @sad|a {stone|lump} seemed to sit in [H.his] throat}.",
          "That night, [H] {could not sleep|lay awake|tossed and turned} and {thought of|thought "
          "about} the [o] and of [F].")
    w.maybe(0.6, '"{If you tell the truth|When you say you are sorry|A true word}," said [E], '
                 '"{the heart|your heart} {grows|gets|will be} {light|warm} again {like a @bird|'
                 'like a @colour @bug|like the sky after rain}."',
            '[E] {saw|knew} that {something was wrong|[H] was @sad} and said, "{Tell the truth|'
            'Go and say sorry}, [H], {and you will feel better|and then we will have @joy}."')
    w.para()
    w.say("{The next|Next} {morning|day}, [H] {took|carried|brought} the {broken pieces|broken "
          '[on]} to [F] and said, "{I am {so|very|truly} sorry|It was my fault|I broke it}, [F]. '
          '{I broke your|I dropped your|I hid the} [o]."',
          "So [H] @move to [F] and {told|said} everything: {how the [o] fell|how [H.he] broke "
          "the [o]}, and {how [H.he] hid it|how sorry [H.he] was}.")
    w.say('[F] was {quiet|@sad|cross} for a {moment|while}, and then [F.he] said, "{Thank you '
          "for telling me|It was {brave|good} to tell me|You are still my friend|I forgive you}, "
          '[H]."',
          '"{I was {sad|upset|unhappy}|I am a little cross}," said [F], "but {I am glad you told '
          'me|you told the truth|friends forgive}, [H]."')
    w.say("{Together|Side by side} they {mended|glued|fixed} the [o] with {glue|string|@colour "
          "thread|tape} and {painted|put} {a @colour @flower|@num @colour stars|a @bird} {on it|"
          "over the crack}.",
          "[H] {worked|saved|swept floors} for @num days and {made|bought} [F] a new [on], {just "
          "as fine|even finer}.")
    w.lesson_end("[H] {never again|never} hid a mistake {from [F]|@hiding}, {and slept {well|"
                 "@softly}|and always told the truth}.")


def journey(w):
    start(w)
    w.place("2")
    w.v["food"] = w.fill("@flavour @food")
    w.v["cargo"] = w.r.choice([w.obj, w.v["food"]])
    old = ["old Mrs. Finch"] if "grand" in w.E.name else ["Granny", "Grandpa"]
    w.v["el"] = w.r.choice(old + ["Aunt Rose", "Uncle Ned", "Mrs. Moss", "old Mr. Crane",
                                  "the miller", "the sick shepherd"])
    w.say("[when], [E] {asked|told} [H] to {take|bring|carry} a [cargo] to [el], {who lived|"
          "whose house was} {[P2]|@near|far away [P2]}.",
          "[when], [H] {wanted|set out} to {take|bring} a [cargo] to [el], {who lived|whose "
          "house was} {[P2]|far away [P2]}.")
    w.say('"{Stay on the path|Walk quickly|Be careful|Be back before dark}, {and do not {lose|'
          'drop|forget} the [cargo]|and greet [el] from me}," said [E].',
          "[H] {put|packed} the [cargo] in a @looks {bag|basket|sack} and {set off {down the "
          "lane|along the {river|road|wall}}}.")
    w.detail(0.6)
    w.para()
    w.say("{First|Soon} the path {went|led} {over|past|through|around} [nP], where {a @trait "
          "@animal|@num @bird#|a @bird} {sat|rested|slept} @sit.",
          "[H] walked {over|past|through|around} [nP] and {met|saw|greeted} a {@trait|@alook} "
          "@animal, who {was looking for|was eating|carried} a @flavour @food.")
    w.say("{Then|But then|After a while}, {the bridge was {broken|gone}|a {tree|rock|big puddle} "
          "blocked the path|fog {hid|covered} the path|the road {split in two|ended}|the river "
          "was too {wide|deep}}, and [H] {did not know what to do|stopped|looked @sad}.")
    w.say("{Just then|Luckily}, [F] {came by|came along} {with a @looks @toy|from [nP]|singing "
          "@softly}.",
          '"{Do you need help|What is wrong|Are you lost}, [H]?" {asked|called} [F], who {came '
          "along|was sitting @sit|had a @looks @toy}.")
    w.say('"{Follow me|I know a way|I can help}," said [F], and {showed [H]|they found|led the '
          "way to} {a {narrow|secret|hidden} path {behind|past} the @tree trees|@num {flat "
          "stones|logs} {to cross on|to step on}|a small boat {@hiding|tied to a @tree tree}}.",
          "Together {they|[H] and [F]} {rolled away|climbed over|went around} {a stone|a log|the "
          "trouble} and {found|saw} {the path|@colour @flower#} {again|on the other side}.")
    w.maybe(0.5, "{Once|On the way}, the [cargo] {fell into|rolled into|slipped into} {the grass|"
                 "a ditch|the moss}, but [F] {picked it up|caught it} {@softly|in time}.",
            "They {rested|sat down|stopped} {under a @tree tree|@sit} and {drank water|ate @num "
            "berries|sang}, and [H] {held|guarded} the [cargo].")
    w.detail(0.4)
    w.para()
    w.say("{At last|In the end|Before dark}, {they|[H] and [F]} {came|got} {to the house of [el]|"
          "to the right door}, and {there was smoke from the @looks chimney|a @looks lamp shone "
          "in the window|a @looks @toy hung on the door|a @alook @animal sat on the step}.",
          "{At last|In the end|Before dark}, [H] {knocked at|stood before} the door of [el], "
          "with [F] {close behind|beside [H.him]}.")
    w.say('"{You came all this way for a [cargo], [H]|How {brave|good|kind} you are, [H]|What a '
          'fine [cargo]|Oh, a [cargo] {for me|at last}}!" said [el].',
          "[el] {was @glad|smiled @softly|clapped} and {took|held|admired} the [cargo], and then "
          "{there was|they all had} @joy.")
    if w.r.random() < 0.5:
        thanks(w)
    w.lesson_end("[H] {told|wrote to} [E.obj] {all about|about} {the way|the walk} {[P]|to "
                 "[el]}, and {how|that} [F] had helped.")
