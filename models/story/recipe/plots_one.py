"""Plots: each one is a short play over the state in world.py: wish, trouble, tries, ending."""
import words
from scenes import air, comfort, end, start, thanks


def lost(w):
    start(w)
    w.v.update(zip(("h1", "h2", "h3"), w.r.sample(words.HIDING, 3)))
    w.say("[E] had {given|made} [H] a [o], and [H] {took|carried} it [toP] every @time.",
          "[H] {loved|liked} [H.his] [o] {more than|as much as} @drink and @taste @food#.",
          "[H] had a [o] {from|made by} [E] and {showed it to|played with it with} [F] every "
          "@time.")
    w.say("[when], [H] {took|carried|brought} the [o] [toP] and @game with [F].",
          "[when], [H] and [F] @game [P], and the [o] lay {beside|near} [H].",
          "[when], [H] @went [toP] with [F] and put the [o] {down|on the ground}.")
    air(w)
    w.say("But {when [H] looked around|at noon}, the [o] {was gone|was not there}, and [F] had "
          "only seen a @colour @bird.",
          '{Then|Suddenly} [H+] {stopped|cried out}: "{Where is|Oh no, where is|I cannot see} my '
          '[o], [F]?"',
          "{On the way home|After a while}, [H] {looked|felt} for the [o], but it was {gone|lost}.")
    w.say("[H] {was|felt} @sad {without|about} the [o] and sat down near [nP].",
          '"[F], I have lost my [o]," said [H+] and {looked @sad|sat down} [P].')
    w.para()
    comfort(w)
    w.say('"[H], {let us look|we must look|I will help you look} for the [o]," said [F] @softly.',
          "[F] {wanted|was @glad} to help [H] look for the [o] [P].")
    w.say("First [H] and [F] @looked [h1], but {saw|found} a @colour @bug and @num @colour "
          "@flower#.",
          "First [F+] @looked [h1], but there [H] {saw|found} only a @look @toy and no [o].")
    w.say("Then [H] and [F] @looked [h2] and found a {@look @toy|@colour @bug}, but no [o].",
          "Then [H] @looked [h2], but {saw|found} only {a @look @toy|a @colour @bug|@num @bird#}, "
          "and [F] saw no [on].")
    w.para()
    w.say("{At last|In the end}, [F] @looked [h3], and there {was|lay} the [o]!",
          "{At last|Then}, [H] and [F] saw the [o]: it {was|lay} [h3]!",
          '{At last|Then} [E] came {by|along} and said, "{I found|I saw} a [o] [h3], [H]!"')
    w.maybe(0.4, "{The wind|A @colour @bird|A puppy|A crow} had {carried|taken} the [o] there from "
                 "[nP].")
    thanks(w)
    end(w, "{From then on|After that}, [H] {always|never forgot and always} put the [o] in a @look "
           "{box|bag|basket} [P].",
        "[H] tied a @colour ribbon {on|around} the [o], and [F] said it was the finest [on] [P].")


def sharing(w):
    start(w)
    w.pick("f", "@food")
    w.v["food"] = w.fill("@taste ") + w.v["f"]
    w.say("[when], [E] gave [H] a [food] {for lunch|to eat}, and [H] @went [toP].",
          "[when], [H] {bought|got} a [food] from [E] and took it [toP].")
    w.say("[H+] sat down with the [food] near [nP] and {looked at|listened to} @num @colour "
          "@bird#.",
          "The [food] smelled of @smell, and [H] {was|felt} very hungry [P].")
    w.say("{Just then|Soon|Then}, [F] came {by|along} from [nP2] with a @look @toy and looked "
          "{hungry|@sad|tired|cold}.",
          "{Just then|Soon|Then}, [H] saw [F] with a @look @toy. [F] was {hungry|@sad} and "
          "{tired|cold}.")
    w.say('"[H], I only had a @taste @food [P2] on @day," said [F+] @softly.',
          '"[H], my @look {basket|bag} with a @taste @food fell down [P2]," said [F].',
          '"A @colour @bird {ate|took} my @taste @food [P2], [H]," said [F], "and I am so '
          '{hungry|@sad}."')
    w.para()
    if w.r.random() < 0.5:
        w.say('"This [food] is {mine|only for me}, [F]," said [H] and {turned|looked} away from '
              '[F.him] [toP2].',
              "[H] {hid|put} the [food] behind [nP] and {said nothing|spoke no word} to [F].")
        w.say("[F+] {walked|went} away [toP2] @softly and was {very|even more} @sad.",
              "[F] was @sad and @went away [toP2] with a @look @toy.")
        w.say("[H] took a bite, but without [F+] the [food] did not taste {good|right|nice}.",
              "{But|Now} the [food] {was not|did not taste} as {sweet|good} as {@drink|[H] had "
              "hoped} without [F].")
        w.say("So [H] ran after [F] with the [food] {in a @look bag|and a @look @toy}.",
              "[H+] thought of [F] {[P2]|and the @look @toy}, and [H.he] @went after [F.him].")
    else:
        w.say("[H] looked at the [food] and then at [F], and [H.he] {smiled|nodded} "
              "{@softly|@gladly} [P].",
              "[H] looked at [F] and {then at|thought of} the [food] @softly.")
    w.say('"{Come|Here|Sit down}, [F], {let us share|you can have half of|we can share} my '
          '[food]," said [H] @softly.',
          "[H] {broke|cut} the [food] and gave {half|one half|a big half} to [F].")
    w.say("[H] and [F] {ate the [food]|sat together} under a @colour @tree tree and {talked "
          "about|watched} @num @colour @bird#.",
          "[F] and [H] ate the [food] near [nP] and {talked about|watched} @num @colour @bird#.")
    w.para()
    thanks(w, "F", "H")
    end(w, '"A [food] {tastes better|is best} with a friend, [F]," said [H], and they @game [P].',
        "{The next day|On @day}, [F] brought [H] @num @taste @food#, and they shared again.")


def broken(w):
    start(w)
    w.toy(w.r.choice(words.FRAGILE))
    w.say("[F] had a [o], {and it was from|made by|which was a present from} [E].",
          "[F] {owned|had} a [o], and [F.he] {loved|liked} it more than @taste @food#.")
    w.say("[when], {while|when} [F] was {away|out} [P], [H] {wanted to hold|played with} the [o].",
          '[when], [F] gave [H] the [o] and said, "{Please be careful|Hold it well}, [H]."',
          "[when], [H] {took|picked up} the [o] from a @look {shelf|table} [P], but [F] did not "
          "see it.")
    w.say("But [H] {slipped|tripped} on a @look @toy, and the [o] fell {down|on a stone} and "
          "broke.",
          "But a @colour @bug {came|flew} by, [H] {jumped|slipped}, and the [o] {fell and "
          "broke|broke in two}.")
    w.pick("hide", "@hiding")
    w.say('"[F] {must|will} not {see|know} this," {said|whispered} [H] and hid the [o] [hide].',
          "[H+] was @afraid of [F] and hid the {broken|poor} [o] [hide].")
    w.para()
    w.say("{Soon|Later|That @time}, [F] looked for the [o] [P], and [F.he] was @sad.",
          '"[H], {where is|have you seen} my [o]?" asked [F] {@softly|that @time} [P].')
    w.say("[H] said nothing about the [o] to [F+], but [H.he] {was|felt} @sad all @time.",
          "[H+] ate no @taste @food and thought of [F] and the [o] all @time.")
    w.maybe(0.6, '"[H], tell [F] the truth," said [E], "and eat a @taste @food with [F.him]."',
            '[E] saw that [H] was @sad and said, "{Tell [F] the truth|Go to [F] and say sorry}, '
            '[H]."')
    w.para()
    w.say('{So|At last} [H+] {brought|gave} the broken [o] to [F]. "I {broke|dropped} it [P]," '
          '[H.he] said @softly.')
    w.say('"[H], thank you for the truth about the [o]," said [F+] @softly.',
          '"I am @sad about the [o], [H]," said [F+], "but {you told the truth|you are my '
          'friend}."',
          '"[H], we can mend the [o], and I forgive you," said [F+] {@softly|[P]}.')
    w.say("{Together|Side by side}, [H] and [F] {mended|fixed} the [o] with {glue|string|@colour "
          "thread} [P].",
          "[H] and [F] mended the [o] and painted {a @flower|a @bird|@num @colour stars} on it.",
          "[H] worked for [E] for @num days and {bought|got} [F] a new [on] from [nP2].")
    end(w, "After that, [H] never hid a @look @toy from [F] again, and they @game [P].")


def surprise(w):
    start(w)
    w.say("[when], the birthday of [H+] came, but [F] and [E] said {nothing|no word} about it [P].",
          "[when], [E] and [F] {forgot|seemed to forget} the birthday of [H+] [P].")
    w.say("But [E] only asked [H] to {feed|count} @num {hens|ducks|goats} and @went [toP2].",
          '"[H], good morning," said [E], and {went to wash|went on painting} a @look @toy.')
    w.say("[H] {looked for|ran to} [F], but [F] {@went|was going} [toP2] with a @look "
          "{bag|box|basket}.",
          '"[H], I must go [toP2]," said [F] @softly and took a @look @toy.')
    w.say('"[F] has forgotten {me|my birthday}," {thought|said} [H+] and sat down [P] with a @look '
          '@toy.',
          "[H+] {was|felt} {very|so} @sad and @went [toP] {alone|all alone} with a @look @toy.")
    w.para()
    w.say('{In the evening|After a while|Later}, [E] called, "{Come home|Please come}, [H], and '
          'bring @num @colour @flower#!"',
          "{In the evening|After a while|Later}, [H] @went home past [nP2] with @num @colour "
          "@flower#.")
    w.say("[H] opened the @look door, and [E] {stood|sat} there with @num @colour {candles|lamps} "
          "and a @taste {cake|pie}.",
          "[H] saw @num @colour {lamps|flags} {over|near} [E], who {held|had} a @taste {cake|pie} "
          "and a @look @toy.")
    w.say('"Surprise, [H]!" {cried|called} [F] and [E], and @num @look {presents|boxes} lay [P].',
          'Then [F] with a @look @toy {jumped out|came in} and {cried|called}, "Surprise, [H], and '
          'here is @drink!"')
    w.say('[E] gave [H] a [o]. "[H], {we did not forget|how could we forget|I did not forget} '
          'you," said [F+].',
          "[F] gave [H] a [o], which [F.he] had {made|painted} with [E] all @season.")
    w.para()
    w.say('"[F], {this|it} is the {best|finest} [o] {of all|in the world}!" said [H] and hugged '
          '[F.him].',
          "[H] was so @glad about the [o] that [H.he] {hugged|danced with} [F] @num times.")
    end(w, "[H], [F] and [E] {ate|shared} a @taste {cake|pie} and @game [P] until {late|the moon "
           "rose}.")


def deliver(w):
    start(w)
    w.v["c"] = w.fill("@taste @food") if w.r.random() < 0.4 else w.v["o"]
    w.say("[when], [H] {wanted|had} to {take|bring|carry} a [c] to [E], who lived [P2].",
          '[when], [E] sent a letter to [H]: "{Please bring|Can you bring} me a [c] [toP2]!"')
    w.say("[H] put the [c] in a @look {bag|basket} and @went {along|down} the @look "
          "{road|path|lane} [toP2].",
          '"[F], I {must|will} bring [E] a [c]," said [H] and @went off [toP2].')
    w.say("[H] @went past [nP] and {met|saw} a @alook @animal with a @taste @food.",
          "On the way, [H] {saw|counted} @num @colour @bug# and a @colour @bird near [nP2].")
    w.para()
    w.say("But near [nP], [H] had to stop with the [c], because {the @look bridge was broken|the "
          "@look road was {wet|flooded}|a @look {log|stone} lay there}.",
          "But {thick|grey} fog came, and [H+] with the [c] {lost the way|had to stop} near [nP].")
    w.say('{Just then|Then}, [F] came {by|along} with a @look @toy. "[H], {what is wrong|do you '
          'need help|are you lost}?" [F.he] asked.',
          '"[H], {what is wrong|do you need help|are you lost}?" {asked|called} [F], who came '
          'along with a @look @toy.')
    w.say('"[F], I {must|want to} bring this [c] to [E]," said [H], "but I {cannot|can\'t} get '
          '[toP2]."',
          '"[F], this [c] is for [E]," {said|answered} [H] and {sighed|looked @sad}.')
    w.say('"{Follow me|I know a way|I can help}, [H]," said [F], and [F.he] showed [H] {a small '
          'path|a @look boat|@num flat stones} behind [nP].',
          "[F+] {took|held} the [c], and [H] and [F] {climbed|went} over @num @look {logs|stones} "
          "and past [nP].")
    w.para()
    w.say("{At last|In the end}, [H] and [F] {came to|stood at} the @look door of [E] [P2].",
          "{At last|In the end}, [H] and [F] {came|got} [toP2], and [E] sat there on a @look "
          "bench.")
    w.say('"{What a fine|Oh, a|You bring me a} [c]! {Thank you|How kind you are}, [H] and [F]," '
          'said [E].',
          "[E] was @glad about the [c] and gave [H] and [F] @drink and @num @food#.")
    thanks(w)
    end(w)


def new_friend(w):
    start(w, friend=False)
    w.say("But [H+] had no friends, and with a @look @toy and a @look @toy [H.he] played alone "
          "[P].",
          "But [H+] {often|always} sat alone [P] with a @look @toy and {watched|counted} @num "
          "@colour @bird#.")
    w.say("[when], [H] saw [F.a] with a [o], {who sat|sitting} all alone [P].",
          "[when], [F.a] came to live [P2] with @num @look boxes and a [o], and [H] saw [F.him].")
    w.say("[H], too {shy|@afraid} to {speak|play}, {hid|waited} near [nP] with a @look @toy.",
          "[H+] {wanted|wished} to {speak|play}, but {hid|waited} with a @look @toy near [nP].")
    w.para()
    w.say('"{Hello|Good day|Hi}, {I am|my name is} [H]," said the [H.look] [H.kind] and '
          '{walked|came} [toP].',
          '{At last|Then}, "I am [H]," {said|began} the [H.look] [H.kind] and held out a @taste '
          '@food.')
    w.say('"[H], {I am|my name is} [F]," {said|answered} the [F.look] [F.kind] with the [o]. "I '
          '{have no friends|am new|know nobody} [P]."')
    w.say('"{Would you like to|Do you want to} {hold|play with|see} my [o], [H]?" asked [F] '
          '{@softly|and smiled}.',
          "[F] {showed|gave} [H] the [o], and [H] {showed|gave} [F] a @look @toy.")
    w.say("{All @time|Soon}, [H] and [F] @game and {then|later} @game {[P]|with the [o]}.",
          "{Soon|Then} [F] and [H] @game [P], and neither [H] nor [F] was @sad {any more|now}.")
    w.para()
    w.say("[H] and [F] both {liked|loved} @taste @food# and the @drink of [E].",
          "[F] {loved|liked} to @hobby with the [o], and [H] {loved|liked} to @hobby [P].")
    w.say('"Can we play with the [o] on @day, [H]?" asked [F], and [H] {nodded|said yes} @gladly.',
          '"[F], {you are|now you are} my {best|first} friend," said [H+], and with the [o] they '
          '@game.')
    end(w)
