"""Problems of the committed sample, each put in other words by hand.

Numbers and formulas are kept, as a model keeps them that is told to reword a problem; the story,
the order of the facts and nearly all other words are new.
"""

REWRITES = {
    0: "If I multiply an unknown by $7$ and take away $4$, I end up with $52$. Find the unknown.",
    1: "From the $9$ members of a chess society, $3$ travel to a competition, and one of "
    "those travellers acts as skipper. Count the possible selections of travellers "
    "together with their skipper.",
    2: "In a right-angled triangle the two shorter sides measure $20$ and $48$. Determine "
    "the distance between the longest side and the corner opposite it.",
    4: "For which positive integers $n$ does $n^2+40n$ turn out to be the square of an "
    "integer? Add all of these $n$ together.",
    5: "Out of $56$ glass balls in a container, three eighths have a blue color. Determine "
    "how many have another color.",
    7: "Where does the straight line that joins $(-3,8)$ and $(6,2)$ meet the $y$-axis? "
    "Write the point as an ordered pair.",
    8: "Rearrange all seven letters of ROTATOR so that its first and its last letter agree. "
    "In how many different ways does this work?",
    9: "The sides of a triangle measure $13$, $20$ and $21$. Subtract the radius of the "
    "inscribed circle from that of the circle through all three corners.",
    11: "All of $84$ tulips and $126$ daffodils are to go into bunches that are exactly "
    "alike. At most how many bunches can the flower seller tie?",
    15: "I keep pulling coins out of a box of $4$ gold and $6$ silver ones, and never put one "
    "back, until I hold gold. On average, how many pulls does that take, the last one "
    "included?",
    18: "Among the divisors of $1400$, count the positive ones that $10$ divides.",
    19: "A dinner for Iben, Jonas and Karim costs $\\$95.40$, and they pay shares in "
    "proportion to $2:3:4$. What is the largest of the three shares?",
    22: "Using only A, B and C, write words of eight letters that contain A exactly three "
    "times and never repeat a letter side by side. How many such words are there?",
    23: "A gable has the shape of a triangle whose two base angles are $47^\\circ$ and "
    "$68^\\circ$. How many degrees does its peak have?",
    25: "Determine the last digit of the number $7^{83}+8^{47}$.",
    29: "Customers pick one of $7$ colors, one of $4$ finishes and one of $3$ sizes for the "
    "cover of their phone. Among how many covers do they choose?",
    32: "Determine the number of trailing zeros of $170!$ in the system with base $12$.",
    36: "Someone throws a fair die with faces $1$ to $6$ and another fair one with faces $1$ "
    "to $8$. How likely is it that the faces sum to $10$?",
    37: "A cylinder of radius $6$ holds exactly as much as a cone whose base has radius $9$ "
    "and whose slant height is $15$, both being solid. Determine how tall the cylinder "
    "is.",
    39: "Count the integers $n$ that satisfy $1\\le n\\le 1000$ and for which $60$ divides "
    "$n^2-n$.",
    43: "Consider positive integers with three digits, each digit larger than the one on its "
    "left. How many of these integers have a $6$ among their digits?",
    46: "Bolts, $1000$ in number, leave a machine in cartons of $13$ as long as a carton can "
    "be filled, that is, until fewer than $13$ remain. How many bolts find no carton?",
    47: "A train fare was $\\$64$ and is $\\$80$ now. By what percentage is it higher?",
    49: "Two numbers add up to $15$, and their squares add up to $137$. By how much do their "
    "cubes differ?",
    50: "Walking on a grid from $(0,0)$ to $(6,5)$, with each unit step upward or to the "
    "right, in how many ways can one avoid the point $(3,2)$?",
    57: "At a corner of a regular pentagon a beetle starts to wander: every minute it moves "
    "along either adjacent side, with probability $\\frac{1}{2}$ each, to the next "
    "corner. How likely is it to be back where it began once $10$ minutes are over?",
    58: "The distance around a rectangular tray is $46$ cm, and one side is $15$ cm. How many "
    "square centimeters does the tray cover?",
    64: "In a bag there are $5$ red, $6$ blue and $9$ green chips. Someone takes a chip "
    "without looking. With what probability, in percent, has it a color other than green?",
    68: "To number the pages $1, 2, 3, \\ldots$ of a volume, a printer sets $1017$ digits "
    "altogether. How often does he set a $3$?",
    71: "Two heads in four tosses of an unfair coin are exactly as probable as three heads. "
    "Determine the probability of four heads in these tosses.",
    72: "Determine the area of an isosceles trapezoid with bases $11$ and $27$ and legs of "
    "$17$ each.",
    75: "At $\\$2.75$ apiece, what is the price of $6$ notebooks?",
    78: "Somebody lines up four novels, no two the same, and an atlas on a board, and the "
    "atlas has to stand leftmost. How many orders are possible?",
    81: "Lamps in a harbor blink at intervals of $16$, $24$ and $36$ seconds and have just "
    "blinked together at noon. Until one o'clock, that moment included, how many further "
    "times do the three blink together?",
    82: "Five numbers have the mean $18$, and four among them are $12$, $15$, $21$ and $26$. "
    "Determine the remaining number.",
}
"""Problems in other words, by their number in the committed sample."""
