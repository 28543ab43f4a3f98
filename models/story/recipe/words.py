"""The words that stories are made of. Lists are short: each word is met thousands of times."""


def split(s):
    return s.replace("\n", "").split("|")


GIRLS = """Mia Anna Rosa Nina Ella Zoe Maya Sara Lucy Amy Kate Emma Nora Tilly Clara Alice Jane
Mary Molly Sally Polly Ada Ida Eva Leah Rita Lena Mina Tina Hana Yuki Mei Asha Priya Meena Leela
Uma Tara Gita Noor Amina Zara Layla Fatima Salma Dina Maryam Zainab Abena Ama Efua Nia Zuri Imani
Wanjiru Freya Astrid Ingrid Heidi Greta Elsa Liv Sofia Elena Marta Carmen Lola Pilar Ines Bianca
Chiara Gia Olga Vera Katya Anya Masha Dasha Zofia Hanna Ilse Frida Petra Bella Jenny Betty Kitty
Nelly Milly Dora Flora Laura Paula Susan Helen Ellen Karen Rachel Ruth Sadie Sophie Stella Tess
Wendy Winnie Yara Esme Edith Agnes Matilda Bridget Fiona Maeve Orla Nadia Samira Lucia Julia
Victoria Emily Beth Meg Nell Peggy Abby Carol Diana Dolly Faye Gwen""".split()

BOYS = """Tom Ben Sam Max Leo Jim Tim Dan Joe Bob Bill Fred Ned Ted Pete Paul Luke John Adam Noah
Finn Owen Hugo Oscar Henry George Harry Peter Simon David Daniel Jacob Oliver Charlie Arthur Alfie
Archie Toby Billy Bobby Danny Jimmy Johnny Teddy Tommy Freddy Ravi Arun Anil Raju Kabir Arjun Dev
Rohan Vikram Mohan Gopal Omar Ali Hassan Yusuf Karim Tariq Jamal Malik Samir Bilal Kofi Kwame
Tunde Emeka Chidi Juma Baraka Sipho Thabo Hans Otto Karl Emil Anton Felix Lars Sven Nils Erik Olaf
Bjorn Ivan Boris Misha Pavel Yuri Piotr Marek Pablo Diego Carlos Mateo Juan Miguel Rafael Pedro
Marco Luca Paolo Gino Nico Pierre Louis Jules Hiro Kenji Taro Wei Joon Minh Walter Frank Ralph
Roger Philip Martin Stephen Albert Alan Colin Duncan Ewan Gavin Ian Liam Neil Rory Ross Sean Seth
Theo Wilf Zack Gus Cody Eddie Ernest Eli Ezra Isaac Jonah Josh Levi Micah""".split()

TITLES = "Mr.|Mrs.|Miss|Farmer|Doctor|Captain|Baker|Uncle|Aunt|Granny".split("|")
SURNAMES = """Bell Plum Reed Green Brown Hill Wood Field Stone Brook Lane Rose Moss Finch Wren
Crane Marsh Penn Potts Mills Baker Fisher Webb Black White Gray Frost Snow Winter Day Lamb Fox
Swift Park Banks Bridges Keys Button Pepper Crumb Carter Cook Dale Drake Ford Glen Hart Holt Hood
Lake Lark Mason Nash North Page Parker Price Reeve Shaw Sharp Taylor Thorn Turner West Wells
York""".split()

ANIMALS = """mouse rabbit fox bear hedgehog squirrel frog duck goose pig goat pony kitten puppy
owl badger mole otter beaver turtle penguin panda monkey lion tiger zebra koala camel sparrow
crow""".split()
ALOOKS = """small grey white brown black spotted fluffy round young thin striped shaggy little
plump tiny soft sleepy curly golden silver dusty shy brave merry""".split()
TRAITS = """kind shy brave funny quiet clever careful cheerful gentle busy merry polite honest
friendly patient lively proud tidy calm curious careful sleepy dreamy thoughtful bold sweet eager
playful helpful noisy messy hungry lonely little tall small young cheeky stubborn clumsy daring
witty warm wise""".split()

COLOURS = "red blue green yellow orange purple pink brown white black grey silver golden".split()
LOOKS = COLOURS + """striped spotted shiny tiny big old new wooden
little fine round pretty dusty smooth plain lovely""".split()
TOYS = """kite ball drum boat doll whistle hat scarf umbrella basket book bell key ring lantern
blanket cup spoon ribbon marble flute map box flag jar pillow clock rope wagon teapot puppet
trumpet bucket bag cap crown mask fan purse brush candle bracelet train mitten coin cushion globe
harp horn jug mirror pencil picture plate rattle shell sled teddy top wand""".split()
FRAGILE = """drum boat doll cup lantern jar clock wagon teapot plate flute puppet train bowl vase
crown mirror jug mug mask trumpet lamp""".split()

FOODS = """apple pear plum peach bun cake pie biscuit sandwich pancake carrot tomato muffin banana
orange cookie waffle melon tart roll dumpling""".split()
TASTES = """warm sweet big little round fresh juicy crunchy sticky soft golden tasty spicy
ripe""".split()
DRINKS = "cocoa|hot milk|lemonade|apple juice|mint tea|cold milk|soup|honey tea".split("|")

PLACES = [(p, n) for p, ns in (
    ("in", "meadow|park|orchard|forest|garden|valley|village|yard|market|field|playground"),
    ("by", "river|pond|lake|stream|sea|well|gate|windmill|bridge|waterfall|harbour|fountain"),
    ("on", "hill|beach|farm|island|lawn|cliff"),
    ("behind", "barn|school|mill|bakery|church|shed|stable|library"),
    ("under", "oak|willow|chestnut|birch|maple")) for n in ns.split("|")]
PLOOKS = """sunny quiet green windy old misty pretty shady little big lovely lonely bright dusty
empty frosty golden grey merry muddy narrow new silent wet""".split()

HIDING = split("""under a bush|in a hollow log|behind a stone|in the tall grass|
inside an old boot|on a wall|behind a door|in a bird's nest|beside a puddle|under a bench|
in a flower pot|in a wheelbarrow|between two rocks|on a low branch|in the hay|in a watering can|
behind a barrel|under a cabbage leaf|in a rabbit hole|under a table|beside a fence|
among the pumpkins|in the sand|under a cart|in a milk pail|among the ferns|behind a woodpile|
on a window sill|under a rug|in a ditch|behind a hedge|in a tree|under a chair""")

BUGS = "beetle bee butterfly ladybird ant moth snail spider worm cricket grasshopper".split()
BIRDS = "robin blackbird pigeon magpie swan gull swallow heron lark cuckoo thrush".split()
FLOWERS = "daisy rose poppy tulip bluebell buttercup violet lily sunflower primrose".split()
TREES = "oak willow pine apple cherry birch chestnut plum elm maple pear fir".split()
SMELLS = split("""honey|rain|hay|apples|pine|smoke|fresh bread|mint|roses|wet leaves|the sea|
warm dust""")
WEATHERS = """sunny windy rainy cloudy cold warm frosty bright misty snowy stormy hot fine grey
clear mild""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SEASONS = "spring summer autumn winter".split()
NUMS = "two three four five six seven eight nine ten".split()

GAMES = split("""played hide-and-seek|played tag|danced|sang songs|jumped over puddles|
climbed trees|told funny stories|chased butterflies|picked berries|made daisy chains|
built towers of stones|threw pebbles|played catch|drew pictures|looked for shells|blew bubbles|
raced snails|counted clouds|made mud pies|played pirates|collected acorns|watched the ants|
rolled down the slope|skipped rope|flew paper planes|hopped on one leg""")
HOBBIES = split("""sing|dance|dig|swim|climb trees|hop|play|paint|read|whistle|draw|help|
bake bread|tell jokes|count birds|watch clouds|pick flowers|collect stones|run|skip""")

GLAD = "happy glad pleased proud cheerful merry thankful delighted".split()
SAD = "sad unhappy upset gloomy miserable tearful".split()
AFRAID = "afraid scared frightened nervous worried".split()
SOFTLY = "softly quietly gently kindly slowly shyly calmly".split()
GLADLY = "happily merrily cheerfully proudly gladly joyfully brightly".split()
WENT = "ran walked skipped hopped hurried marched strolled wandered trotted raced went".split()
LOOKED = "looked searched peeked peered".split()
