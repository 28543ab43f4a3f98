"""Beginnings, endings and moments that many stories share."""


def start(w, friend=True):
    """Hero, home, friend; then a new paragraph that begins with a time."""
    w.pick("who", "a [H.intro] {named|called} [H]")
    w.pick("friend", "a [F.intro] {named|called} [F]")
    w.say("Once upon a time [who] lived [P].",
          "Once upon a time [who] lived [P] near [E].",
          "Once upon a time, near [E], there {was|lived} [who], who {loved|liked} to @hobby [P].",
          "Once upon a time [H], a [H.intro], lived [P] in a @look {house|hut|nest|home}.",
          "{Long ago|Once}, [P] near [E], there {was|lived} [who].",
          "[who] lived [P] {near|next to} [E].")
    w.maybe(0.35, "[H] {loved|liked} @drink and @taste @food#, and [H.he] could @hobby all @season "
                  "[P].",
            "[E] {knew|said} that [H] was very @trait and {quite|always} @trait.",
            "[H] {had|owned} a @look @toy and a @look @toy and {loved|liked} to @hobby.")
    if friend:
        w.say("[H.his] {best|good|dear} friend was [friend].",
              "[H] had a {good|dear|true|close} friend, [friend].",
              "{Every @day|On most days|Every @time}, [H] played with [friend].",
              "[F], a [F.intro], was the {best|dearest} friend of [H].")
    w.para()
    w.pick("when", "{One @weather @time|One @day @time|On a @weather @season @time|One @weather "
                   "@day|Early one @season @time|One day in @season|One day}")


def air(w, p=0.35):
    """One look at the place where the story is."""
    w.maybe(p, "The {air|wind} [P] {was @weather and |}smelled of @smell and @smell.",
            "A @colour @bug {sat|rested|slept} on a @colour @flower near [H].",
            "@num @colour @bird# {sang|sat} in {the|a} @tree tree near [H].",
            "The sky over [nP] was @colour, and @num @bird# sang for [H].")


def comfort(w, p=0.5):
    """The friend sees that the hero is sad."""
    w.maybe(p, '"{Don\'t be sad|Don\'t cry|Cheer up|Never mind}, [H]," said [F] and gave [H.him] a '
               '@taste @food.',
            "[F+] {put an arm around|sat down beside|hugged} [H+] and gave [H.him] a @taste @food.",
            "[F] saw how @sad [H+] was and gave [H.him] {a @colour @flower|some @drink} @softly.")


def thanks(w, a="H", b="F"):
    def t(s):
        return s.replace("<A", "[" + a).replace("<B", "[" + b).replace(">", "]")
    w.say(*map(t, (
        '"{Thank you|Oh, thank you|Thank you so much}, <B>!" said <A> and gave <B.him> a {@taste '
        '@food|@colour @flower and a @food}.',
        "<A> {thanked|hugged} <B> and gave <B.him> {a @taste @food|a @colour @flower and @drink}.",
        "<A+> {danced|hopped|ran|skipped} around <B> [P] and was {so|very} @glad.",
        '"You are {a true|a good|the best} friend, <B>," said <A+>, and they {shared|ate} a @taste '
        '@food.')))


def end(w, *extra):
    w.para()
    w.say(*extra,
          "{That evening|That night|Before bed|At supper}, [H] and [F] {had|shared|drank} @drink "
          "and {ate|shared} {a @taste @food|@num @taste @food#} {[P]|with [E]}.",
          "[H] and [F] @game [P] and {shared|ate} a @taste @food with [E].",
          "That night, [H+] {fell asleep|slept well} and dreamed of [F] and {@num @colour "
          "@flower#|a @look @toy|@taste @food#}.",
          "{From that day on|Ever since then|After that}, [H] and [F] {met|played|@game} [P] "
          "{every @day|each @time|all @season}.",
          "[F] and [H] {went|walked|ran} home past [nP] @gladly and {ate|shared} @num @taste "
          "@food#.")
    w.maybe(0.3, "It had been a {good|lovely|wonderful|fine} @day [P] for [H] and [F].",
            "And [H] and [F] {were|felt} {very|truly|so} @glad.", "The end.")
