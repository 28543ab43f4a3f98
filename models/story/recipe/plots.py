"""All plots, each equally likely."""
import plots_one as a
import plots_two as b

PLOTS = [a.lost, a.sharing, a.fear, a.building, a.surprise, a.mistake, a.journey, b.new_friend,
         b.learning, b.helping, b.weather_plan, b.promise, b.noise, b.growing, b.race, b.asleep,
         b.wish]
