"""All plots, each equally likely."""
import plots_one as a
import plots_two as b

PLOTS = [a.lost, a.sharing, a.broken, a.surprise, a.deliver, a.new_friend, b.learning, b.helping,
         b.rain, b.promise, b.noise, b.growing, b.race, b.fear]
