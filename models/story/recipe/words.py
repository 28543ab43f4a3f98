"""Word lists of the story generator: only words that a four-year-old has heard.

Every list is sampled uniformly. They are long on purpose: the model shall never see the same
twelve words twice, so that it must learn how stories go and cannot learn one story by heart.
"""

GIRLS = """Mia Anna Lily Rosa Nina Ella Zoe Ruby Ivy Maya Sara Lucy Amy Kate Emma Nora Tilly Poppy
Clara Alice Jane Mary Molly Sally Polly Daisy Holly Ada Ida Eva Leah Rita Lena Mina Tina Hana Yuki
Mei Lin Asha Priya Meena Rani Leela Uma Tara Gita Noor Amina Zara Layla Fatima Salma Dina Maryam
Zainab Abena Ama Efua Nia Zuri Ayo Imani Wanjiru Freya Astrid Ingrid Heidi Greta Elsa Liv Sofia
Elena Marta Carmen Lola Pilar Ines Bianca Chiara Gia Olga Vera Katya Anya Masha Dasha Ola Zofia
Hanna Ilse Frida Petra Bella Grace Hope Joy Faith May June April Pearl Jenny Penny Betty Kitty
Nelly Milly Dora Flora Laura Paula Susan Helen Ellen Karen Rachel Ruth Sadie Sophie Stella Tess
Wendy Winnie Yara Esme Edith Agnes Matilda Bridget Fiona Maeve Orla Nadia Samira Lucia Julia
Victoria Emily Hazel Willow Beth Meg Nell Peggy Abby Carol Diana Dolly Faye Gwen Iris""".split()

BOYS = """Tom Ben Sam Max Leo Jack Jim Tim Dan Joe Bob Bill Will Fred Ned Ted Pete Paul Mark Luke
John Adam Noah Finn Owen Hugo Oscar Henry George Harry Peter Simon David Daniel Jacob Oliver
Charlie Arthur Alfie Archie Toby Billy Bobby Danny Jimmy Johnny Teddy Tommy Freddy Robin Ravi Arun
Anil Raju Kabir Arjun Dev Rohan Vikram Mohan Gopal Bala Omar Ali Hassan Yusuf Karim Tariq Jamal
Malik Samir Bilal Kofi Kwame Ato Tunde Emeka Chidi Juma Baraka Sipho Thabo Hans Otto Karl Emil
Anton Felix Lars Sven Nils Erik Olaf Bjorn Ivan Boris Misha Pavel Yuri Jan Piotr Marek Pablo Diego
Carlos Mateo Juan Luis Miguel Rafael Pedro Marco Luca Paolo Gino Nico Pierre Louis Jules Hiro Kenji
Taro Ken Jin Wei Bo Chen Ming Joon Minh Walter Frank Ralph Roger Philip Martin Stephen Albert Alan
Colin Duncan Ewan Gavin Ian Kyle Liam Neil Rory Ross Sean Seth Theo Wilf Zack Gus Ray Roy Rex Cody
Eddie Ernest Eli Ezra Isaac Jonah Josh Levi Micah""".split()

PETNAMES = """Pip Dot Bramble Pebble Biscuit Button Clover Daffy Fern Fidget Flip Fluff Fudge Ginger
Gizmo Hopper Jelly Juniper Lulu Mango Maple Marmalade Mimi Misty Mo Muffin Nibbles Noodle Nutmeg
Olive Paddy Patch Peanut Pepper Pickle Pippin Plum Pom Pudding Puff Rolo Rusty Scamper Snowy Sooty
Sparky Spot Sunny Tango Tansy Thistle Tiggy Toffee Truffle Tumble Twig Waffle Whiskers Widget Ziggy
Bean Barley Bingo Bobbin Bubbles Bumble Chip Cocoa Cosmo Cricket Dusty Echo Fig Fizz Frosty Honey
Inky Kiki Lemon Mossy Nettle Oats Pogo Quill Raisin Smudge Socks Sprout Tofu Treacle Wisp Yaya Zuzu
Acorn Basil Birdie Blossom Bo-Bo Caramel Cherry Crumb Custard Domino Doodle Dumpling""".split()

SURNAMES = """Bell Plum Reed Green Brown Hill Wood Field Stone Brook Lane Rose Moss Finch Wren Crane
Marsh Penn Pratt Potts Mills Baker Fisher Hunt Webb Woods Black White Gray Silver Frost Snow Winter
Summers Day Lamb Fox Swift Park Rivers Banks Bridges Gates Keys Locke Button Pepper Pickle Crumb
Honeyman Appleby Kumar Rao Lee Kim Wong Lopez Costa Rossi Bauer Klein Novak Jansen Berg Dahl Haddad
Mensah Okoro Diallo Patel Singh Khan Tanaka Mori Silva Duarte""".split()

# few enough that a small model meets each of them often
GIRLS, BOYS, PETNAMES, SURNAMES = GIRLS[::2][:80], BOYS[::2][:80], PETNAMES[::2][:60], SURNAMES[::2]

# species, what it looks like
ANIMALS = """mouse rabbit fox bear hedgehog squirrel frog duck hen goose pig lamb goat donkey pony
kitten puppy cat dog owl badger mole otter beaver deer turtle penguin panda monkey elephant lion
tiger giraffe zebra hippo koala kangaroo camel parrot sparrow robin crow lizard
hamster raccoon wolf swan chick""".split()

ANIMAL_LOOKS = """small grey white brown black spotted fluffy round tiny young fat thin striped
sleepy curly shaggy little long-eared bright-eyed soft""".split()

TRAITS = """kind shy brave funny quiet clever careful cheerful curious gentle busy merry noisy
dreamy polite honest friendly helpful stubborn sleepy hungry patient silly lively thoughtful proud
playful lonely messy tidy forgetful bold calm sweet eager""".split()

COLOURS = """red blue green yellow orange purple pink brown white black grey silver
golden""".split()
LOOKS = COLOURS + """striped spotted shiny tiny big old new wooden tin little fine painted bright
pretty dusty round smooth plain bright-red sky-blue rosy lovely""".split()

TOYS = """kite ball drum boat doll whistle hat scarf umbrella basket book bell key ring button
lantern blanket cup spoon ribbon marble flute map box coin flag jar pillow clock rope wagon sled
teapot top puppet trumpet bucket bag cap mitten crown mask puzzle fan purse brush plate bottle
candle teddy rattle hoop card picture horn bracelet necklace star train""".split()
BREAKABLE = """kite drum boat doll cup lantern jar clock wagon sled teapot plate bottle flute
puppet train bowl vase crown mirror pot jug mug mask horn dish bell whistle""".split()

FOODS = """apple pear plum peach bun cake pie biscuit sandwich pancake carrot tomato muffin banana
orange pudding cookie waffle melon tart roll dumpling sausage mango""".split()
FLAVOURS = """warm sweet big little round fresh juicy crunchy sticky soft golden tasty buttery
spicy creamy crumbly huge ripe""".split()

# preposition, noun phrase
PLACES = [("in", x) for x in """the meadow|the park|the orchard|the forest|the garden|the valley|
the village|the woods|the town square|the yard|the cornfield|the vegetable patch|the playground|
the market|the pine wood|the rose garden|the barnyard""".replace("\n", "").split("|")] + [
    ("by", x) for x in """the river|the pond|the lake|the stream|the sea|the well|the gate|
the fence|the windmill|the bridge|the duck pond|the waterfall|the harbour|the fountain|the railway
""".replace("\n", "").split("|")] + [
    ("on", x) for x in "the hill|the beach|the farm|the cliff path|the island|the lawn"
    .split("|")] + [
    ("behind", x) for x in "the barn|the school|the mill|the bakery|the church|the shed|the stable"
    .split("|")] + [
    ("under", x) for x in "the oak tree|the apple tree|the willow|the old bridge|the chestnut tree"
    .split("|")]
PLACE_LOOKS = "sunny quiet green windy old misty pretty shady little big lovely".split()

HOMES = ["%s %s" % (a, b)
         for a in "a little|a small|a tall|a white|a yellow|a crooked|a cosy|a wooden|an old|"
                  "a tiny|a brick|a grey|a stone".split("|")
         for b in "house cottage hut cabin mill flat farmhouse".split()]
DENS = ["%s %s" % (a, b) for a in "a cosy|a warm|a snug|a deep|a tiny|a round|a dry".split("|")
        for b in "burrow|den|hollow tree|nest|hole|hut|cave".split("|")]

HIDING = """under a bush|in a hollow log|behind a stone|under a pile of leaves|in the tall grass|
inside an old boot|on top of a wall|under the bed|behind the door|in a bird's nest|beside a puddle|
under a bench|in a flower pot|behind the curtain|in a wheelbarrow|between two rocks|
under the stairs|on a low branch|in the hay|inside a watering can|behind a barrel|
under a cabbage leaf|
in the mud|in a rabbit hole|under the table|in the coal shed|behind the clock|in the laundry basket|
on the roof of the shed|beside the well|among the pumpkins|in the sand|under a cart|in a milk pail|
among the ferns|behind the woodpile|in the corner|on the window sill|under the rug|in the ditch
""".replace("\n", "").split("|")

BUGS = """beetle bee butterfly ladybird ant moth snail spider worm cricket dragonfly grasshopper
caterpillar""".split()
BIRDS = """sparrow robin crow owl duck swan blackbird pigeon wren goose magpie cuckoo thrush gull
swallow heron""".split()
FLOWERS = """daisy rose poppy tulip bluebell buttercup violet lily sunflower dandelion primrose
snowdrop""".split()
TREES = "oak willow pine apple cherry birch chestnut plum elm maple pear fir beech".split()
SOFT = """softly slowly quietly gently calmly peacefully shyly""".split()
MOVE = """ran walked skipped hopped hurried marched tiptoed dashed strolled wandered trotted
scampered raced rushed went set_off headed""".split()
LOOK = "looked searched hunted peeked peered checked".split()
GLAD = """happy glad pleased proud cheerful merry thankful delighted joyful light-hearted""".split()
SAD = "sad unhappy upset gloomy miserable tearful glum".split()
AFRAID = "afraid scared frightened nervous worried shaky anxious uneasy".split()
WEATHERS = """sunny windy rainy cloudy cold warm frosty bright misty snowy stormy hot breezy fine
chilly golden grey clear fresh mild""".split()
TIMES = "morning afternoon evening".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHSEASON = "spring summer autumn winter".split()
JOBS = """baker farmer miller gardener teacher shopkeeper doctor painter tailor
carpenter beekeeper blacksmith cook librarian shepherd potter weaver clockmaker sailor nurse
""".split()
ELDERS_F = ["grandmother", "aunt", "granny", "cousin"]
ELDERS_M = ["grandfather", "uncle", "grandpa", "cousin"]
GAMES = """played hide-and-seek|played tag|danced|sang songs|jumped over puddles|climbed trees|
rolled down the slope|told funny stories|chased butterflies|picked berries|made daisy chains|
built towers of stones|threw pebbles into the water|played catch|drew pictures in the dust|
looked for shells|blew bubbles|played drums on old pots|raced snails|counted clouds|
flew paper planes|made mud pies|turned somersaults|hopped on one leg|played pirates|
pretended to be dragons|swung on the gate|collected acorns|watched the ants|whistled like birds
""".replace("\n", "").split("|")
SMALL_JOYS = ["a %s of %s" % (a, b) for some, what in (
    ("cup mug glass", "cocoa|hot milk|lemonade|apple juice|mint tea|cold milk"),
    ("bowl dish plate", "soup|noodles|porridge|jelly|pancakes|cherries|rice|stew|berries"),
    ("slice piece bit", "cake|melon|toast|apple pie|cheese|bread|plum tart"),
    ("bag handful", "nuts|plums|grapes|raisins|walnuts|sweets"))
    for a in some.split() for b in what.split("|")]
