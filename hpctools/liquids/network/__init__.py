"""From the structure of a liquid to its dynamics: S_ab(k), T, ρ and the potential give F_s(k_p,t) of both species.

    samples     what is learned from a library of records, and its splits by state
    inputs      what a model is shown of a state, and the controls that are shown less
    curves      F_s(k_p,t) as a curve with few numbers
    regression  nearest state, ridge, Gaussian process
    perceptron  the network of Ciarella et al. (2023), and one that is monotone by construction
    theory      mode-coupling theory on the same structure
    bands       90 % bands from states that a model has not seen
    models      all of these under one name each, in files
    training    the command that trains one of them; settings, commands: its words
    trials      training and testing for three kinds of transfer
    metrics     how good a prediction is
    prediction  the answer to a user's S(k); structure_file: how it is read, structure_check: whether it can be right
"""
