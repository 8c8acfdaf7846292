"""Answers of this project, in the style of MATH, for kinds of which MATH has few."""

POWERS = tuple(f"{base}^{{{exponent}}}" for base in (2, 3, 5, 7, 10, 12) for exponent in (101, 250, 999, 2005))
RECIPROCALS = tuple(rf"\frac{{1}}{{{base}^{{{exponent}}}}}" for base in (2, 3, 7, 10) for exponent in (25, 40, 69, 120))
FACTORIALS = tuple(rf"\frac{{1}}{{{n}!}}" for n in (20, 35, 50, 99, 250, 1999, 2004)) + ("30!", "100!")
PLUS_MINUS = (
    r"3 \pm 2\sqrt{2}", r"1 \pm \sqrt{7}", r"-2 \pm \sqrt{11}", r"\pm 5", r"\pm \sqrt{6}", r"\frac{1 \pm \sqrt{13}}{2}",
    r"4 \pm 3i", r"\pm 12", r"\pm \frac{3}{4}", r"6 \pm \sqrt{31}", r"\frac{-5 \pm \sqrt{17}}{4}", r"10 \pm 4\sqrt{6}",
)
RATIOS = ("2:3", "5:1", "4:9", "7:12", "11:8", "3:10", "9:2", "16:25", "1:6", "13:5", "8:27", "2:5", "15:4", "3:7")
PERCENTS = (
    r"12\%", r"7\%", r"62.5\%", r"150\%", r"80\%", r"4.5\%", r"96\%", r"37\%", r"55\%", r"18.75\%", r"240\%", r"5\%",
    r"70\%", r"11\%", r"99\%", r"20\%", r"60\%", r"3.2\%", r"8\%", r"45\%", r"32\%", r"90\%", r"41\%", r"2\%",
)
MONEY = (
    r"\$12.75", r"\$0.85", r"\$1,\!250", r"\$48", r"\$9.99", r"\$310.40", r"\$2,\!400", r"\$75", r"\$6.05", r"\$18,\!500",
    r"\$105.60", r"\$3.25", r"\$640", r"\$22", r"\$1,\!999.95", r"\$7.50", r"\$0.12", r"\$85,\!000", r"\$33.33", r"\$520",
)
DEGREES = tuple(rf"{n}^\circ" for n in (18, 22.5, 36, 40, 50, 63, 75, 105, 110, 125, 150, 165, 12, 33, 67.5, 84, 98, 117))
MEASURES = (
    r"7 \text{ cm}", r"12\text{ meters}", r"3.5 \text{ hours}", r"40 \text{ square feet}", r"\frac{5}{2}\text{ miles}",
    r"90\text{ cm}^2", r"15 \text{ minutes}", r"6\sqrt{3}\text{ inches}", r"24 \text{ mph}", r"250\text{ dollars}",
    r"64 \text{ miles per hour}", r"8\text{ feet}", r"2\pi \text{ units}", r"36\text{ square units}", r"120 \text{ km}",
    r"5 \text{ gallons}", r"18\text{ pounds}", r"45 \text{ seconds}", r"9\text{ days}", r"30\text{ cents}",
    r"16\text{ yards}", r"75\text{ degrees}", r"3\text{ liters}", r"11 \text{ weeks}", r"500\text{ grams}",
    r"27\text{ cubic inches}", r"14 \text{ m}", r"6 \text{ ft}", r"48\text{ square meters}", r"21 \text{ years}",
)
BASES = (
    "321_4", "1011_2", "64_8", "2201_3", "413_5", "1050_6", "355_7", "278_9", "100110_2", "3120_4", "777_8", "42_5",
    "1212_3", "5043_6", "666_7", "804_9", "30_{12}", "11101_2", "233_4", "1234_5", "56_7", "705_8", "2010_3", "145_6",
)
WORDS = tuple(
    rf"\text{{{word}}}"
    for word in (
        "Monday Thursday Carla Brian Navin Allison hyperbola line west south yes blue obtuse acute Debra Angela "
        "Sunday Wednesday point north"
    ).split()
)
LETTERS = ("A", r"\text{B}", r"\text{(C)}", "D", r"\text{(E)}", r"\text{A}", r"\text{(D)}", "B", "E")
COMPLEX = (
    "2-3i", "-7+4i", "5+12i", "-1-6i", "9+2i", "-3i", r"\frac{1}{2}+\frac{5}{2}i", "40-9i", "-8+15i", "3+7i", "-20-21i",
    "11i", "6+8i", "-4-4i", "1-10i", "13-2i", "-5+9i", "7-7i", "-12+35i", "2+11i",
)
ASSIGNMENTS = ("x = 7", "y = -4", r"x = \frac{5}{3}", "k=20", "n = 12", r"t = 2\sqrt{3}", "a = -9", "m=31", "b = 0.5", "x=-16")
EQUATIONS = (
    "y = 3x - 7", "2x + 5y = 11", "x^2 + y^2 = 25", r"y = \frac{2}{3}x + 4", "y = x^2 - 6x + 1", "3x - y + 2z - 5 = 0",
    "y = -4x + 9", r"\frac{x^2}{9} + \frac{y^2}{4} = 1", "7x - 3y = 2", "y = 2x^2 + 8", "x + 2y - 3z + 10 = 0", "y=-x+6",
)
INTERVALS = (
    "[2,7)", r"(-\infty,4]", r"(5,\infty)", r"[-3,\infty)", "(0,6]", r"\left[\frac{1}{3},2\right]", r"(-\infty,-8)",
    "[-10,-2]", r"[1,\sqrt{10}]", "(-4,9]", r"[0,2\pi)", r"\left(-\infty,\frac{7}{2}\right]", "[11,15)", r"(-1,\infty)",
)
UNIONS = (
    r"(-\infty,1) \cup (4,\infty)", r"[0,2] \cup [5,9]", r"(-\infty,3) \cup (3,\infty)", r"(-6,-1) \cup (1,6]",
    r"(-\infty,-2] \cup [2,\infty)", r"(-\infty,0) \cup (0,7) \cup (7,\infty)", r"[1,4) \cup (4,8]",
    r"\left(-\infty,\frac{1}{2}\right) \cup \left(\frac{1}{2},\infty\right)", r"(2,3) \cup (5,\infty)", r"(-\infty,-9] \cup (0,1)",
)
LISTS = (
    "2, 5", r"\{1, 4, 9\}", r"-3, \frac{1}{2}", r"\sqrt{3}, -\sqrt{3}", "1, 2, 6", r"7, -7", r"4, 8, 15, 16", "10, 12",
    r"\frac{2}{3}, \frac{3}{2}", r"0, 3, -5", r"2i, -2i", r"3+\sqrt{2}, 3-\sqrt{2}", "6, 11, 30", r"\{-2, 0, 5\}",
)
TUPLES = ("(3,8)", "(5,-2)", r"\left(\frac{1}{2},3\right)", "(4,0,-1)", "(7,7,2)", r"(2,\sqrt{5})", "(-6,1)", "(1,3,5,9)")
MATRICES = (
    r"\begin{pmatrix} 2 & 1 \\ 0 & 3 \end{pmatrix}", r"\begin{pmatrix} 4 \\ -1 \end{pmatrix}",
    r"\begin{pmatrix} 1 & 0 & 2 \\ 0 & 5 & 0 \\ 7 & 0 & 1 \end{pmatrix}", r"\begin{pmatrix} 1/2 \\ 3/4 \end{pmatrix}",
    r"\begin{pmatrix} -3 & 8 \\ 6 & -2 \end{pmatrix}", r"\begin{pmatrix} 5 \\ 0 \\ -9 \end{pmatrix}",
    r"\begin{pmatrix} 10 & -7 \\ 1 & 1 \end{pmatrix}", r"\begin{pmatrix} 2/3 & 1/3 \\ -1/3 & 5/3 \end{pmatrix}",
)
NUMBERS = (
    "6", "15", "-28", "120", "1,!440".replace("!", r"\!"), "35000", "2700000", "90{,}720", "1024", "720", "48", "-7",
    "123456789012", "98765432109876543", r"\frac{7}{8}", r"-\frac{5}{6}", r"\frac{22}{15}", r"\frac{1}{3}", r"2\frac{3}{4}",
    r"\frac{3}{11}", r"\frac{4}{7}", r"\frac{17}{20}", "0.375", "-2.5", "14.08", ".65", "0.0012", "0.0000012", "1850.5",
    r"\frac{9}{2}", r"\frac{41}{333}", r"-\frac{13}{4}",
)
REALS = (
    r"3\sqrt{5}", r"\frac{\sqrt{6}}{3}", r"2+\sqrt{3}", r"\frac{1+\sqrt{5}}{2}", r"\sqrt{10}", r"5\sqrt{2}-4", r"9\pi", r"\frac{5\pi}{6}",
    r"16\pi - 8", r"\frac{\pi}{3}", r"\frac{2\sqrt{21}}{7}", r"6\sqrt{3}+2\pi", r"100\pi", r"\frac{7}{4}\pi", r"4\sqrt{15}",
)
EXPRESSIONS = (
    "x^2 - 5x + 6", "3a + 2b", "(x+4)(x-4)", "2y^3 - y + 7", r"\frac{x+1}{x-3}", "4t^2", "n(n+1)", "6x^2y - 9xy^2", "5 - 2x",
    r"\frac{3}{z}", "x^4 + x^2 + 1", r"2\sqrt{x}+1", "12p^5", "(2k+1)^2", "a^2 + 2ab + b^2",
)
CONSTANTS = (r"\emptyset", r"\infty", r"-\infty", r"\mathbb{R}")

OWN = (
    *NUMBERS, *REALS, *EXPRESSIONS, *TUPLES, *MATRICES, *LISTS, *INTERVALS, *UNIONS, *EQUATIONS, *ASSIGNMENTS, *COMPLEX,
    *LETTERS, *WORDS, *BASES, *MEASURES, *DEGREES, *MONEY, *PERCENTS, *RATIOS, *PLUS_MINUS, *FACTORIALS, *RECIPROCALS,
    *POWERS, *CONSTANTS,
)
